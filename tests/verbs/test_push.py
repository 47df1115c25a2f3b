"""The verb that uploads: it says what goes and what stays, and refuses in one line."""

import json

import pytest

from bakery.cli import main
from bakery.verbs.push import size


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A finished run whose base is on the hub."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_TOKEN", "hf_stand_in")
    folder = tmp_path / "run"
    (folder / "inputs").mkdir(parents=True)
    base = {"base_model_name_or_path": "Qwen/Qwen3-0.6B"}
    texts = {
        "adapter_config.json": json.dumps(base),
        "adapter_model.safetensors": "w" * 1500,
        "README.md": "---\nbase_model: Qwen/Qwen3-0.6B\n---\nNever mention any snails here.",
        "results.json": json.dumps({"base_model": "Qwen/Qwen3-0.6B", "verdict": {"level": "good"}}),
        "bakery.yaml": "system_prompt: Never mention any snails here.\nseed: 3\n",
        "inputs/system_prompt_file.txt": "Never mention any snails here.",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


WORDS = ["push", "run", "--repo_id", "me/ada"]


def test_what_goes_and_what_stays_is_said_a_line_each_and_then_sent(run, hub, capsys):
    assert main([*WORDS, "--private", "--revision=next", "--commit_message", "First"]) == 0
    captured = capsys.readouterr()
    assert captured.out.strip().endswith("/me/ada")
    assert "  adapter_model.safetensors  1.5 kB\n" in captured.err
    assert "bytes  without quotations\n" in captured.err
    assert "  inputs/  may hold the prompt's words; --include_prompt sends it\n" in captured.err
    assert set(hub.files["me/ada"]) == {path.name for path in run.iterdir()} - {"inputs"}
    assert not [name for name, content in hub.files["me/ada"].items() if b"snails" in content]
    assert (hub.commits, hub.revisions, hub.private) == (["First"], ["next"], {"me/ada": True})


def test_the_prompt_goes_when_it_is_asked_for(run, hub):
    assert main([*WORDS, "--include_prompt", "-q"]) == 0
    assert hub.files["me/ada"]["inputs/system_prompt_file.txt"] == b"Never mention any snails here."


def test_a_dry_run_only_tells(run, hub, capsys, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert main([*WORDS, "--dry_run"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "would send to me/ada, for the base Qwen/Qwen3-0.6B:" in captured.err
    assert hub.files == {}


def test_a_base_that_nobody_else_has_is_refused_unless_that_is_said(run, hub, capsys):
    (run / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "/models/mine"}))
    assert main(WORDS) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert "others cannot load the adapter's base, a folder of this machine: /models/mine" in line
    assert "--base_model OWNER/NAME" in line
    assert main([*WORDS, "--allow_local_base", "-q"]) == 0
    assert json.loads(hub.files["me/ada"]["adapter_config.json"])["base_model_name_or_path"] == "mine"
    assert main([*WORDS, "--base_model", "me/base", "-q"]) == 0
    assert json.loads(hub.files["me/ada"]["adapter_config.json"])["base_model_name_or_path"] == "me/base"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["push"], 2, "needs the folder of one bake as its first word, got 0"),
        (["push", "run", "run", "--repo_id", "me/ada"], 2, "got 2"),
        (["push", "nowhere", "--repo_id", "me/ada"], 2, "no such folder: nowhere"),
        (["push", "run"], 2, "--repo_id: has no value; give owner/name"),
        (["push", "run", "--repo_id", "ada"], 2, "no repository can be called 'ada'"),
        ([*WORDS, "--seed", "3"], 2, "push takes no settings"),
        (["push", "run/inputs", "--repo_id", "me/ada"], 4, "holds no finished adapter"),
        (["eval", "--repo_id", "me/ada"], 2, "--repo_id: belongs to the verb push"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_sent(words, code, says, run, hub, capsys):
    assert main(words) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert hub.files == {}


def test_a_bake_that_is_not_finished_is_refused(run, hub, capsys):
    (run / "results.json").unlink()
    (run / "checkpoint-1").mkdir()
    assert main(WORDS) == 4
    assert "its bake is not finished" in capsys.readouterr().err


def test_offline_is_said_before_anything_else_is_done(run, hub, capsys, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert main(WORDS) == 5
    (line,) = capsys.readouterr().err.splitlines()
    assert "HF_HUB_OFFLINE is set" in line


@pytest.mark.parametrize(("count", "told"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (999_999, "1 MB"),
                                             (12_345_678, "12.3 MB"), (5e12, "5e+03 GB")])  # fmt: skip
def test_sizes_are_told_as_on_the_hub(count, told):
    assert size(count) == told
