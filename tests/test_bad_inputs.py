"""Every mistake in `bad_inputs/table.json` gets its exit code and one line with location and remedy, and no file.

The commands run in a copy of `tests/bad_inputs`, so the paths in the table are relative to that folder. What would make
the table unreadable is written as a word of `LONG`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bakery.cli import main

FOLDER = Path(__file__).parent / "bad_inputs"
TABLE = json.loads((FOLDER / "table.json").read_text("utf-8"))
LONG = {"<5,000 x>": "x" * 5000, "<400 digits>": "9" * 400}


def words(case: dict) -> list[str]:
    """The command line of a case."""
    return [re.sub("<.*>", lambda match: LONG[match[0]], word) for word in case["args"]]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return shutil.copytree(FOLDER, tmp_path_factory.mktemp("bad") / "inputs")


def listing(folder: Path) -> dict[str, float]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize("case", TABLE, ids=[case["name"] for case in TABLE])
def test_bad_input_is_one_clear_line(case, inputs, monkeypatch, capfd):
    monkeypatch.chdir(inputs)
    before = listing(inputs)
    code = main(words(case))
    captured = capfd.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("bakery: error: ")
    for fragment in case["says"]:
        assert fragment in lines[0]
    assert code == case["exit"], lines[0]
    assert "Traceback" not in captured.err
    assert len(lines[0]) < 400
    assert listing(inputs) == before


def test_a_pipe_is_refused_and_not_waited_for(inputs, monkeypatch, capsys):
    monkeypatch.chdir(inputs)
    os.mkfifo("pipe.yaml")
    assert main(["--config", "pipe.yaml"]) == 2
    assert main(["--config", "good.yaml", "--heldout_file", "pipe.yaml"]) == 3
    errors = capsys.readouterr().err.splitlines()
    assert errors == ["bakery: error: pipe.yaml: is a pipe or a device; a file is needed"] * 2
    os.unlink("pipe.yaml")


def test_the_table_is_large_and_every_file_is_used():
    assert len(TABLE) >= 120
    named = {word for case in TABLE for word in case["args"]}
    files = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.parent.name in ("configs", "rows")}
    text = "".join(path.read_text("utf-8", "replace") for path in FOLDER.glob("configs/*"))
    assert {file for file in files if file not in named and file not in text} == set()


def run(args: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys, bakery.cli\n"
        "code = bakery.cli.main(sys.argv[1:])\n"
        "print('torch imported' if 'torch' in sys.modules else 'no torch')\n"
        "sys.exit(code)"
    )
    command = [sys.executable, "-W", "error", "-c", code, *args]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, env={**os.environ, **environment}
    )


PROCESSES = ("config: near_miss_key", "rows: broken_line", "rows: truncated", "rows: folder without data",
             "config: output_file", "config: corpus_no_abstract")  # fmt: skip


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_refuses_before_torch_is_imported(name, inputs):
    (case,) = (case for case in TABLE if case["name"] == name)
    done = run(case["args"], inputs)
    assert done.returncode == case["exit"]
    assert done.stdout.strip() == "no torch"
    assert done.stderr.startswith("bakery: error: ")
    assert done.stderr.count("\n") == 1


def test_a_hub_id_that_cannot_be_reached_is_one_line(inputs):
    done = run(
        ["--config", "good_rows.yaml", "--dataset", "nobody/nothing"],
        inputs,
        HF_HUB_OFFLINE="1",
        HF_DATASETS_OFFLINE="1",
    )
    assert done.returncode == 3
    assert done.stdout.strip() == "no torch"
    first, second = done.stderr.splitlines()
    assert first == "reading nobody/nothing from the hub"
    assert second.startswith("bakery: error: nobody/nothing: cannot be read as a hub id")


def test_a_bad_setting_that_only_transformers_knows_is_one_line(inputs, monkeypatch, capsys):
    monkeypatch.chdir(inputs)
    code = main(["--config", "good.yaml", "--dataloader_prefetch_factor", "2"])
    error = capsys.readouterr().err
    assert code == 2
    assert error.startswith("bakery: error: good.yaml: ")
    assert "dataloader_prefetch_factor" in error
    assert error.count("\n") == 1


def test_an_output_folder_that_cannot_be_written(inputs, monkeypatch, capsys):
    monkeypatch.chdir(inputs)
    monkeypatch.setattr("bakery.settings.paths.os.access", lambda path, mode: False)
    assert main(["--config", "good.yaml"]) == 2
    assert "cannot be written; choose another folder" in capsys.readouterr().err


def test_a_file_that_cannot_be_read(inputs, monkeypatch, capsys):
    def refuse(path, flags):
        raise PermissionError(13, "Permission denied")

    monkeypatch.chdir(inputs)
    monkeypatch.setattr("bakery.settings.files.os.open", refuse)
    assert main(["--config", "good.yaml"]) == 2
    assert capsys.readouterr().err == "bakery: error: good.yaml: cannot be read: Permission denied\n"
