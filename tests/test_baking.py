"""A bake is three acts: preparing writes nothing, training changes only the adapter, proving leaves both alone."""

from dataclasses import replace
from io import StringIO

import pytest
import torch
from rich.console import Console

from bakery.baking import bake, plan, prepare, prove, train
from bakery.errors import ConfigError, DataError
from bakery.progress import Progress, Verbosity
from bakery.rows.bake_data import load_bake_data
from bakery.rows.conversations import load_rows
from bakery.settings.build import BakeSettings
from bakery.settings.config import ContextConfig, DataConfig, LoraConfig, ModelConfig
from bakery.writing.written import ANCHORS, HELD_OUT, PROMPTS
from tests.engine_support import PREFIX, QUESTIONS, adapter_weights, settings

QUIET = Progress(Verbosity.QUIET)
SHORT = {"max_steps": 2, "learning_rate": 1e-2, "trajectory_length": 6, "num_trajectories": 1}


def _settings(base, folder, **written) -> BakeSettings:
    """A bake of three given prompts; `written`: how many more the model is to write, none by default."""
    return BakeSettings(
        bakery=settings(folder, **SHORT),
        context=ContextConfig(prefix_messages=PREFIX),
        model=ModelConfig(model_name_or_path=base),
        lora=LoraConfig(r=2),
        data=DataConfig(training_prompts=QUESTIONS[:3], **{"self_prompts": 0, "self_anchors": 0, **written}),
    )


def test_preparing_writes_nothing_training_changes_the_adapter_and_proving_only_looks(saved_base, tmp_path):
    chosen = _settings(saved_base, tmp_path / "out")
    data = load_bake_data(chosen.context, chosen.data)
    prepared = prepare(chosen, data, QUIET)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert prepared.gap.divergence.mean > 0
    fresh, frozen = adapter_weights(prepared.trainer.model), prepared.trainer.session.identity
    train(prepared)
    trained = adapter_weights(prepared.trainer.model)
    assert any(not torch.equal(trained[name], weight) for name, weight in fresh.items())
    assert prepared.trainer.session.identity == frozen
    assert not (tmp_path / "out" / "results.json").exists()
    result = prove(prepared, "base")
    assert (result.rows, result.steps, result.base_model) == (3, 2, "base")
    assert all(torch.equal(weight, trained[name]) for name, weight in adapter_weights(prepared.trainer.model).items())


def test_preparing_leaves_only_what_the_model_wrote_and_that_is_trained_on(tmp_path):
    chosen = _settings("starter", tmp_path / "out", self_prompts=2, self_anchors=2)
    prepared = prepare(chosen, load_bake_data(chosen.context, chosen.data), QUIET)
    written = {path.name: path for path in tmp_path.rglob("*") if path.is_file()}
    assert set(written) == {PROMPTS, HELD_OUT, ANCHORS}
    prompts, anchors = (load_rows(str(written[name])) for name in (PROMPTS, ANCHORS))
    rows = prepared.trainer.rows
    assert [row.messages for row in rows.train] == [row.messages for row in prompts]
    assert [row.messages for row in rows.anchors] == [row.messages for row in anchors]
    assert (len(prompts), len(anchors)) == (3 + 2, 2)
    assert prepared.rows.measured_on == "written"


def test_the_whole_leaves_a_finished_folder_that_is_not_touched_again(saved_base, tmp_path):
    result = bake(_settings(saved_base, tmp_path / "out"), QUIET)
    files = {path.name: path.read_bytes() for path in result.output_dir.iterdir() if path.is_file()}
    assert {"adapter_model.safetensors", "results.json", "bakery.yaml", "report.html", "README.md"} <= set(files)
    with pytest.raises(ConfigError, match="holds a finished bake"):
        bake(_settings(saved_base, tmp_path / "out"), QUIET)
    assert {path.name: path.read_bytes() for path in result.output_dir.iterdir() if path.is_file()} == files


def test_who_wants_to_see_the_trainer_gets_it_before_the_first_step(saved_base, tmp_path):
    seen = []
    bake(
        _settings(saved_base, tmp_path / "out"),
        QUIET,
        on_trainer=lambda trainer: seen.append(trainer.state.global_step),
    )
    assert seen == [0]


def test_a_prompt_without_effect_is_refused_before_a_step_is_taken(saved_base, tmp_path):
    chosen = _settings(saved_base, tmp_path / "out")
    data = load_bake_data(chosen.context, chosen.data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bakery.evaluation.proof.NO_GAP_NATS", 1e9)
        patch.setattr("bakery.evaluation.proof.NO_GAP_ROW_NATS", 1e9)
        with pytest.raises(DataError, match="changes \\(almost\\) nothing"):
            prepare(chosen, data, QUIET)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_prefix_longer_than_the_context_is_refused_before_anything_is_written_or_sampled(saved_base, tmp_path):
    chosen = _settings(saved_base, tmp_path / "out")
    data = replace(
        load_bake_data(chosen.context, chosen.data), prefix=({"role": "system", "content": "Why? " * 40_000},)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bakery.baking.complete_rows", None)
        with pytest.raises(
            DataError, match=r"^the prefix .* has [\d,]+ tokens, and the model's context holds 32,768; shorten it"
        ):
            prepare(chosen, data, QUIET)
    assert list(tmp_path.iterdir()) == []


def test_half_precision_that_is_not_there_is_said_once(saved_base, tmp_path):
    chosen = _settings(saved_base, tmp_path / "out")
    chosen.bakery.notes = ["bf16 is not available on the CPU; computing without"]
    out = StringIO()
    prepare(chosen, load_bake_data(chosen.context, chosen.data), Progress(console=Console(file=out, width=200)))
    assert out.getvalue().count("  note: bf16 is not available on the CPU; computing without\n") == 1


def _given(base, folder) -> BakeSettings:
    """The same with the given prompts and no others."""
    data = DataConfig(training_prompts=QUESTIONS[:3], self_prompts=0, self_anchors=0)
    return replace(_settings(base, folder), data=data)


def test_a_plan_writes_nothing_and_its_token_counts_are_those_of_the_bake(saved_base, tmp_path):
    chosen = _given(saved_base, tmp_path / "out")
    forecast = plan(chosen)
    assert not list(tmp_path.iterdir())
    parts = {part.name: part for part in forecast.parts}
    progress = Progress(Verbosity.QUIET)
    result = bake(chosen, progress)
    tokens = {spent.stage: spent.tokens for spent in progress.spent()}
    assert (forecast.steps.low, forecast.steps.high) == (result.steps, result.steps)
    assert parts["sampling"].sampled.low == pytest.approx(tokens["sampling"], rel=0.35)
    assert all(part.seconds.high > 0 for part in forecast.parts)


def test_what_a_bake_takes_is_told_before_it_and_only_to_who_listens(saved_base, tmp_path):
    said = StringIO()
    chosen = _given(saved_base, tmp_path / "out")
    prepare(chosen, load_bake_data(chosen.context, chosen.data), Progress(console=Console(file=said, width=200)))
    begun, told, *_ = said.getvalue().splitlines()
    assert begun.startswith("baking into")
    assert told.startswith("  expected: ")
    assert "written" in told


def test_without_a_proof_only_the_gap_is_asked_for_and_not_even_that_where_no_gap_is_allowed(saved_base, tmp_path):
    for allowed in (False, True):
        chosen = _settings(saved_base, tmp_path / f"out {allowed}")
        chosen.bakery.proof, chosen.bakery.allow_no_gap = "none", allowed
        progress = Progress(Verbosity.QUIET)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("bakery.baking.proof_of", None)
            result = bake(chosen, progress)
        assert result.proof is None
        assert (result.training.steps, result.training.limit) == (2, "max_steps: 2")
        assert "proof" not in result.seconds
        assert (result.gap is None, "gap" not in result.seconds) == (allowed, allowed)


def test_a_bake_that_is_to_be_judged_without_a_proof_is_refused_before_anything_is_loaded(tmp_path):
    chosen = _settings(tmp_path / "no model", tmp_path / "out")
    chosen.bakery.proof, chosen.bakery.fail_under = "none", 0.9
    with pytest.raises(ConfigError, match=r"^fail_under: needs the proof"):
        bake(chosen, QUIET)
    assert list(tmp_path.iterdir()) == []
