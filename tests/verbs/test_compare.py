"""The verb that compares."""

import sys
from types import ModuleType

import pytest

from bakery.cli import main
from tests.command_support import CONFIG


@pytest.mark.parametrize("config", [["--config", "config.yaml"], []])
def test_compare_hands_on_folders_settings_and_output(config, place, monkeypatch, capsys):
    asked = {}
    compare, report = ModuleType("bakery.compare"), ModuleType("bakery.report.comparison.outputs")
    compare.run_compare = lambda *given, **options: asked.update(given=given, **options) or "compared"
    report.print_comparison = lambda result, console: print(result)
    monkeypatch.setitem(sys.modules, "bakery.compare", compare)
    monkeypatch.setitem(sys.modules, "bakery.report.comparison.outputs", report)
    for name in ("a", "b"):
        (place / name).mkdir()
        (place / name / "adapter_config.json").write_text('{"base_model_name_or_path": "/elsewhere/starter"}')
    (place / "a" / "bakery.yaml").write_text(CONFIG)
    assert main(["compare", "a", "b", *config, "--seed", "7"]) == 0
    settings, folders = asked["given"]
    assert (settings.bakery.seed, folders, asked["output_dir"]) == (7, ("a", "b"), None)
    assert main(["compare", "a", "b", *config, "--output_dir", "elsewhere"]) == 0
    assert asked["output_dir"] == "elsewhere"
    assert capsys.readouterr().out == "compared\ncompared\n"
