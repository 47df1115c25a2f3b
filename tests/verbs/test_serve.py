"""The verb that serves."""

import shlex
import sys
from pathlib import Path
from types import ModuleType

import pytest

from bakery.cli import main
from tests.command_support import CONFIG


@pytest.fixture
def run(place):
    (place / "run").mkdir()
    (place / "run" / "adapter_config.json").write_text(
        '{"base_model_name_or_path": "/elsewhere/starter", "peft_type": "LORA", "r": 12}'
    )
    (place / "run" / "bakery.yaml").write_text(CONFIG + "overwrite: true\ntorch_dtype: float16\n")
    return place / "run"


def test_print_prints_the_command_and_nothing_else(run, capsys):
    assert main(["serve", "run", "--print", "--port", "9000", "--dtype", "float32", "--", "--seed", "1"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    words = shlex.split(line)
    assert words[:3] == ["python", "-m", "vllm.entrypoints.openai.api_server"]
    assert f"run={run}" in words
    assert "--max-lora-rank 16 --dtype float32" in line
    assert line.endswith("--host 127.0.0.1 --port 9000 --seed 1")
    assert main(["serve", "run", "--print"]) == 0
    assert "--dtype bfloat16" in capsys.readouterr().out, "as the base is stored, not as the bake computed"


def test_serve_hands_on_what_the_command_line_says(run, monkeypatch):
    from bakery.serving.planning import ServeRequest

    asked = []
    serve = ModuleType("bakery.serve")
    serve.run_serve = lambda settings, folders, request, **_: asked.append((len(settings), folders, request))
    monkeypatch.setitem(sys.modules, "bakery.serve", serve)
    words = ["--engine", "llama", "--llama_cpp", "cpp", "--bench", "--timeout", "60", "--host", "0.0.0.0"]
    assert main(["serve", "run", *words]) == 0
    request = ServeRequest(engine="llama", llama_cpp=Path("cpp"), host="0.0.0.0", timeout=60.0, bench=True)
    assert asked == [(1, ("run",), request)]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "needs the folder of a run as its first word"),
        (["run", "--engine", "vlm"], "did you mean vllm?"),
        (["run", "run", "--print"], "given twice"),
        (["run", "--timeout", "soon"], "--timeout: must be a whole number of seconds"),
        (["run", "--port", "70000"], "--port: must be a whole number up to 65535"),
        (["run", "--print", "--bench"], "--print and --bench contradict each other"),
        (["run", "--engine", "llama", "--print"], "has no adapter.gguf; write bakery export"),
        (["nowhere"], "no such folder: nowhere"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_loaded(words, says, run, capsys):
    assert main(["serve", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


def test_its_options_belong_to_it(place, capsys):
    assert main(["bake", "--config", "config.yaml", "--bench"]) == 2
    assert "--bench: belongs to the verb serve; write bakery serve" in capsys.readouterr().err
