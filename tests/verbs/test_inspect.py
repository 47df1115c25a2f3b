"""The verb that inspects."""

import sys
from types import ModuleType

from bakery.cli import main


def test_inspect_shows_rows_without_writing_or_loading_weights(place, monkeypatch, capsys):
    asked = {}
    inspection, models = ModuleType("bakery.chat.inspection"), ModuleType("bakery.engine.model.loading")
    inspection.run_inspect = lambda tokenizer, data, context, **options: asked.update(
        tokenizer=tokenizer, data=data, context=context, **options
    )
    models.load_tokenizer = lambda model: model.model_name_or_path
    monkeypatch.setitem(sys.modules, "bakery.chat.inspection", inspection)
    monkeypatch.setitem(sys.modules, "bakery.engine.model.loading", models)
    assert main(["inspect", "--config", "config.yaml", "--rows", "2", "--html", "page.html"]) == 0
    assert (asked["tokenizer"], asked["rows"], asked["html_file"]) == ("starter", 2, "page.html")
    assert asked["sampled"] == (4, 128)
    assert asked["data"].prefix == ({"role": "system", "content": "Speak like a pirate."},)
    assert sorted(path.name for path in place.iterdir()) == ["config.yaml"]
