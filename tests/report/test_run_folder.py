"""Copies of what a bake was given: named by their settings, replaced only with the bake, and nothing else touched."""

import os
from dataclasses import replace

import pytest

from bakery.errors import ResourceError
from bakery.report.run_folder import accept_inputs, run_settings, save_inputs
from bakery.rows.bake_data import load_bake_data
from bakery.settings.build import BakeSettings
from bakery.settings.config import ContextConfig, DataConfig, LoraConfig, ModelConfig
from bakery.settings.documents import parse_yaml
from tests.engine_support import settings


@pytest.fixture
def given(tmp_path):
    """Settings that name files, and their rows."""
    (tmp_path / "My Rows.JSONL").write_text('{"prompt": "Hello!"}\n')
    (tmp_path / "held.jsonl").write_text('{"question": "Who?", "answer": "Ada", "prefix_messages": []}\n')
    (tmp_path / "prompt.yaml").write_text("[{role: system, content: You are Ada.}]")
    chosen = BakeSettings(
        bakery=settings(tmp_path / "out"),
        context=ContextConfig(prefix_messages_file=str(tmp_path / "prompt.yaml")),
        model=ModelConfig(model_name_or_path="starter"),
        lora=LoraConfig(),
        data=DataConfig(dataset=str(tmp_path / "My Rows.JSONL"), heldout_file=str(tmp_path / "held.jsonl")),
    )
    return chosen, load_bake_data(chosen.context, chosen.data)


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


COPIES = ["bakery.yaml", "inputs/dataset.jsonl", "inputs/heldout_file.jsonl", "inputs/prefix_messages_file.yaml"]


def test_files_are_copied_under_the_names_of_their_settings(given, tmp_path):
    save_inputs(*given)
    assert names(tmp_path / "out") == COPIES
    saved = parse_yaml((tmp_path / "out" / "bakery.yaml").read_text(), "saved").value
    assert (saved["dataset"], saved["output_dir"], saved["relative_to_file"]) == ("./inputs/dataset.jsonl", ".", True)
    save_inputs(*given)
    assert names(tmp_path / "out") == COPIES


def test_a_finished_bake_keeps_its_own_until_it_is_replaced(given, tmp_path):
    chosen, data = given
    save_inputs(chosen, data)
    out = tmp_path / "out"
    for name in ("results.json", "inputs/mine.txt"):
        (out / name).write_text("older")
    before = {name: (out / name).read_bytes() for name in names(out)}
    (tmp_path / "prompt.yaml").write_text("[{role: system, content: You are Bob.}]")
    changed = replace(chosen, data=replace(chosen.data, heldout_file=None))
    save_inputs(changed, data)
    assert {name: (out / name).read_bytes() for name in before} == before
    current = list(names(out / "_inputs"))
    for _ in range(2):  # as after an interruption
        accept_inputs(out, current)
    assert names(out) == [*COPIES[:2], "inputs/mine.txt", COPIES[3], "results.json"]
    assert "You are Bob." in (out / COPIES[3]).read_text()


def test_a_prompt_that_is_to_stay_out_is_neither_copied_nor_written(given, tmp_path):
    chosen, data = given
    chosen.bakery.keep_prompt = False
    own = replace(data, heldout=[replace(data.heldout[0], prefix=({"role": "system", "content": "You are Bob."},))])
    saved = parse_yaml(run_settings(chosen, own), "saved").value
    assert (saved["keep_prompt"], saved["prefix_messages_file"], saved["heldout_file"]) == (False, None, None)
    assert saved["dataset"] == "./inputs/dataset.jsonl"
    save_inputs(chosen, own)
    assert names(tmp_path / "out") == COPIES[:2]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_cannot_be_written_is_one_line(given, tmp_path):
    (tmp_path / "out").mkdir(mode=0o500)
    with pytest.raises(ResourceError, match=r"^output_dir: the files of the bake cannot be copied into"):
        save_inputs(*given)


def test_a_file_that_is_gone_is_one_line(given, tmp_path):
    (tmp_path / "prompt.yaml").unlink()
    with pytest.raises(
        ResourceError, match=r"^output_dir: the files of the bake cannot be copied into .*: No such file"
    ):
        save_inputs(*given)
