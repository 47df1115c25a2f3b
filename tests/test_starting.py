"""The same command goes on where it was stopped, names what is finished, and touches nothing that is another bake's."""

from dataclasses import replace

import pytest

from bakery.errors import ConfigError
from bakery.report import outputs
from bakery.rows.bake_data import load_bake_data
from bakery.settings.build import BakeSettings
from bakery.settings.config import ContextConfig, DataConfig, LoraConfig, ModelConfig
from bakery.settings.run_state import STATE
from bakery.starting import begin, digests_of, is_finished
from tests.engine_support import settings

PROMPT = [{"role": "system", "content": "Write all answers in capital letters."}]


@pytest.fixture
def chosen(tmp_path):
    return BakeSettings(
        bakery=settings(tmp_path / "out", max_steps=2, resume_from_checkpoint="auto"),
        context=ContextConfig(prefix_messages=PROMPT),
        model=ModelConfig(model_name_or_path="starter"),
        lora=LoraConfig(r=2),
        data=DataConfig(training_prompts=["What is AI?"]),
    )


def data_of(chosen):
    return load_bake_data(chosen.context, chosen.data)


def test_only_the_same_goes_on_by_itself(chosen, tmp_path):
    assert not begin(chosen, data_of(chosen))
    assert begin(chosen, data_of(chosen))
    (tmp_path / "out" / "checkpoint-1").mkdir()
    other = replace(chosen, lora=LoraConfig(r=4))
    with pytest.raises(
        ConfigError, match=r"holds another bake, stopped \(r differ\); .*go on from checkpoint-1 all the"
    ):
        begin(other, data_of(other))
    other.bakery.resume_from_checkpoint = True
    assert begin(other, data_of(other))
    other.bakery.resume_from_checkpoint = False
    with pytest.raises(ConfigError, match=r"holds this bake, stopped; leave resume_from_checkpoint out, or choose"):
        begin(other, data_of(other))
    other.bakery.overwrite = True
    assert not begin(other, data_of(other))
    assert not (tmp_path / "out" / "checkpoint-1").exists()


def test_checkpoints_that_nobody_knows_are_not_gone_on_from(chosen, tmp_path):
    (tmp_path / "out" / "checkpoint-7").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"holds checkpoints of another run \(checkpoint-7\)"):
        begin(chosen, data_of(chosen))


def test_a_finished_bake_begins_anew_only_with_overwrite(chosen, tmp_path):
    begin(chosen, data_of(chosen))
    (tmp_path / "out" / "results.json").touch()
    assert not is_finished(chosen, data_of(chosen))
    outputs.complete_outputs(tmp_path / "out")
    assert is_finished(chosen, data_of(chosen))
    with pytest.raises(ConfigError, match="holds a finished bake"):
        begin(chosen, data_of(chosen))
    chosen.bakery.overwrite = True
    assert not is_finished(chosen, data_of(chosen))
    assert not begin(chosen, data_of(chosen))
    assert begin(chosen, data_of(chosen))  # as after a kill of the bake that replaces it


@pytest.mark.parametrize(
    ("part", "changes", "same"),
    [
        ("context", {"prefix_messages": [{"role": "system", "content": "Be kind."}]}, False),
        ("data", {"training_prompts": ["What is AI?", "Why?"]}, False),
        ("data", {"rules": ["must: a"]}, True),
        ("lora", {"r": 3}, False),
        ("model", {"model_name_or_path": "/elsewhere/starter"}, True),
        ("model", {"model_name_or_path": "other"}, False),
    ],
)
def test_what_decides_what_is_learned_is_compared(part, changes, same, chosen):
    changed = replace(chosen, **{part: replace(getattr(chosen, part), **changes)})
    assert (digests_of(chosen, data_of(chosen)) == digests_of(changed, data_of(changed))) is same


@pytest.mark.parametrize(
    ("name", "value", "same"),
    [
        *(("seed", 5, False), ("learning_rate", 0.5, False), ("logging_steps", 3, True), ("output_dir", "x", True)),
        *(("fail_under", 0.5, True), ("beta", 0.5, False), ("gradient_accumulation_steps", 2, False)),
    ],
)
def test_so_are_the_settings_of_the_training(name, value, same, chosen):
    before = digests_of(chosen, data_of(chosen))
    setattr(chosen.bakery, name, value)
    assert (digests_of(chosen, data_of(chosen)) == before) is same


def test_no_setting_is_remembered_in_words(chosen, tmp_path):
    begin(chosen, data_of(chosen))
    text = (tmp_path / "out" / STATE).read_text()
    assert "capital letters" not in text
    assert "What is AI" not in text
