"""The verb that evaluates."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from bakery.cli import main
from tests.command_support import CONFIG, Result


@pytest.mark.parametrize(
    ("words", "strengths"),
    [
        ([], (1.0,)),
        (["--strength", "0.5", "1"], (0.5, 1.0)),
        (["--strength=0"], (0.0,)),
        (["--strength", "sweep"], (0, 1)),
    ],
)
@pytest.mark.parametrize("config", [["--config", "config.yaml"], []])
def test_eval_hands_on_adapter_and_strengths(words, strengths, config, place, monkeypatch, capsys):
    asked = {}
    evaluate, report = ModuleType("bakery.evaluate"), ModuleType("bakery.report.strengths")
    evaluate.SWEEP = (0, 1)
    evaluate.run_eval = lambda *given, **options: asked.update(given=given, **options) or Result("proof")
    report.print_eval = lambda result, console: print(result)
    monkeypatch.setitem(sys.modules, "bakery.evaluate", evaluate)
    monkeypatch.setitem(sys.modules, "bakery.report.strengths", report)
    (place / "adapter").mkdir()
    (place / "adapter" / "adapter_config.json").write_text('{"base_model_name_or_path": "/elsewhere/starter"}')
    (place / "adapter" / "bakery.yaml").write_text(CONFIG)
    assert main(["eval", "--adapter", "adapter", *words, *config, "--seed", "7"]) == 0
    settings, adapter, wanted = asked["given"]
    assert (settings.bakery.seed, adapter, wanted, asked["output_dir"]) == (7, Path("adapter"), strengths, None)
    assert main(["eval", "--adapter", "adapter", "--output_dir", "elsewhere"]) == 0
    assert asked["output_dir"] == "elsewhere"
    assert capsys.readouterr().out == "proof\nproof\n"


def test_the_strongest_strength_is_that_of_the_evaluation():
    from bakery import evaluate
    from bakery.verbs import evaluate as verb

    assert verb._STRONGEST == evaluate.STRONGEST
