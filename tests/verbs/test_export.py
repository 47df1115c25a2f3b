"""The verb that exports."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from bakery.cli import main
from bakery.exporting.request import ExportRequest
from tests.command_support import CONFIG


@pytest.fixture
def adapter(place):
    (place / "run").mkdir()
    (place / "run" / "adapter_config.json").write_text(
        '{"base_model_name_or_path": "/elsewhere/starter", "peft_type": "LORA"}'
    )
    (place / "run" / "bakery.yaml").write_text(CONFIG + "overwrite: true\ntorch_dtype: float16\n")
    return place / "run"


def test_export_hands_on_what_the_command_line_says_and_nothing_of_the_file(adapter, monkeypatch, capsys):
    asked = []
    export, result = ModuleType("bakery.export"), ModuleType("bakery.exporting.result")
    export.run_export = lambda settings, folder, request, **_: asked.append((folder, request)) or "done"
    result.told = lambda done: [done]
    monkeypatch.setitem(sys.modules, "bakery.export", export)
    monkeypatch.setitem(sys.modules, "bakery.exporting.result", result)
    assert main(["export", "run", "--to", "merged"]) == 0
    words = ["--strength", "0.5", "--dtype", "bfloat16", "--output_dir", "out", "--overwrite", "--allow_other_tokens"]
    words += ["--python", "py", "--timeout", "60"]
    assert main(["export", "run", "--to=adapter", *words]) == 0
    assert asked == [
        ("run", ExportRequest("merged")),
        ("run", ExportRequest("adapter", 0.5, "bfloat16", Path("out"), True, None, True, None, "py", 60.0)),
    ]
    assert capsys.readouterr().out == "done\ndone\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--to", "merged"], "needs the folder of one adapter as its first word, got 0"),
        (["run", "run", "--to", "merged"], "got 2"),
        (["run"], "--to: has no value; allowed are merged, adapter"),
        (["run", "--to", "merge"], "did you mean merged?"),
        (["run", "--to", "merged", "--strength", "2"], "--strength: must be 0 to at most 1.5"),
        (["run", "--to", "merged", "--strength", "sweep"], "--strength: must be a number"),
        (["run", "--to", "merged", "--strength", "0", "1"], "an export has one, got 2"),
        (["run", "--to", "merged", "--dtype", "int8"], "int8"),
        (["run", "--to", "gguf"], "--llama_cpp: has no value"),
        (["nowhere", "--to", "merged"], "no such folder: nowhere"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_loaded(words, says, adapter, capsys):
    assert main(["export", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


def test_its_options_belong_to_it(place, capsys):
    assert main(["bake", "--config", "config.yaml", "--to", "merged"]) == 2
    assert "--to: belongs to the verb export; write bakery export" in capsys.readouterr().err
    assert main(["bake", "--config", "config.yaml", "--strength", "1"]) == 2
    assert "belongs to the verb eval or export" in capsys.readouterr().err
