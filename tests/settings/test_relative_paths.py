"""Paths from a settings file's own folder, and names that are none."""

import json
from pathlib import Path

import pytest

from bakery.settings.reading import check_prompt, read_command_line, read_settings_file
from bakery.settings.relative_paths import base_from, from_folder
from tests.settings.support import refusal, values, write


def test_paths_are_those_from_the_file_and_names_stay_names(tmp_path):
    (tmp_path / "rows.jsonl").write_text("{}")
    text = """
relative_to_file: true
model_name_or_path: owner/base
dataset: owner/rows
eval_dataset: rows.jsonl
heldout_file: ./gone.jsonl
corpus_file: gone.md
system_prompt_file: ~/prompt.txt
anchor_file: /drift.jsonl
output_dir: .
resume_from_checkpoint: true
"""
    assert values(read_settings_file(write(tmp_path, text))) == {
        "model_name_or_path": "owner/base",
        "dataset": "owner/rows",
        "eval_dataset": str(tmp_path / "rows.jsonl"),
        "heldout_file": str(tmp_path / "gone.jsonl"),
        "corpus_file": str(tmp_path / "gone.md"),
        "system_prompt_file": "~/prompt.txt",
        "anchor_file": "/drift.jsonl",
        "output_dir": str(tmp_path),
        "resume_from_checkpoint": True,
    }


@pytest.mark.parametrize("line", ["", "relative_to_file: false"])
def test_without_it_paths_are_those_from_the_working_directory(line, tmp_path):
    (tmp_path / "rows.jsonl").write_text("{}")
    text = f"{line}\ndataset: ./rows.jsonl\noutput_dir: .\n"
    assert values(read_settings_file(write(tmp_path, text))) == {"dataset": "./rows.jsonl", "output_dir": "."}


def test_on_the_command_line_it_is_refused():
    problem = refusal(lambda: read_command_line(["--relative_to_file"]))
    assert problem.startswith("command line: --relative_to_file: is for settings files")


@pytest.mark.parametrize("value", ["", " ", None, 3, ["a"], "x" * 5000, "\0"])
def test_what_is_no_path_stays_as_it_is(value, tmp_path):
    assert from_folder("dataset", value, tmp_path) == value


def test_a_base_is_named_or_described_by_the_way_to_it(tmp_path, monkeypatch):
    (tmp_path / "models" / "base").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "models")
    run = tmp_path / "runs" / "one"
    assert base_from(run, "starter") == "starter"
    assert base_from(run, "owner/base") == "owner/base"
    for name in ("base", str(tmp_path / "models" / "base")):
        assert base_from(run, name) == "../../models/base"
    assert base_from(tmp_path / "models", "base") == "./base"
    assert from_folder("model_name_or_path", "../../models/base", run) == str(tmp_path / "models" / "base")


def test_a_base_that_is_not_there_is_looked_for_where_the_adapter_says(tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base)}))
    assert from_folder("model_name_or_path", "../gone/base", tmp_path) == str(base)
    base.rmdir()
    assert Path(from_folder("model_name_or_path", "../gone/base", tmp_path)) == tmp_path.parent / "gone" / "base"


def test_a_prompt_that_was_left_out_has_to_be_given(tmp_path):
    saved = read_settings_file(write(tmp_path, "keep_prompt: false\nprefix_messages: null\ndataset: rows.jsonl\n"))
    assert "the prompt was left out of this folder" in refusal(lambda: check_prompt(saved))
    for words in (["--system_prompt", "You are Ada."], ["--dataset", "own.jsonl"]):
        check_prompt(saved.overridden_by(read_command_line(words)))
    check_prompt(read_settings_file(write(tmp_path, "prefix_messages: null\n", "with.yaml")))
