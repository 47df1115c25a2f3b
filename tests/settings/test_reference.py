"""The reference page and the JSON schema are made from the dataclasses and up to date."""

from importlib.metadata import version
from pathlib import Path

from bakery.settings.catalog import all_fields
from bakery.settings.documents import parse_yaml
from bakery.settings.reading import read_command_line
from bakery.settings.reference import example, json_schema, reference_page
from bakery.settings.values import check_value

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"


def test_the_reference_page_is_up_to_date():
    saved, made = PAGE.read_text("utf-8"), reference_page()
    if f"transformers {version('transformers')}" not in saved:
        saved, made = saved.partition("## training")[0], made.partition("## training")[0]
    assert saved == made, "run: python -m bakery.settings.reference > docs/reference.md"


def test_every_setting_is_on_the_page_and_every_example_can_be_given():
    page = PAGE.read_text("utf-8")
    for item in all_fields().values():
        assert f"`{item.name}`" in page
        if item.group != "training":
            assert check_value(example(item), item, "here") == example(item)
            assert example(item) != item.default, item.name


def test_the_schema_knows_every_key_and_no_other():
    schema = json_schema()
    known = all_fields()
    assert set(schema["properties"]) == set(known) | {alias for item in known.values() for alias in item.aliases}
    assert schema["additionalProperties"] is False
    assert schema["properties"]["on_long_row"]["enum"] == ["error", "skip"]
    assert schema["properties"]["num_trajectories"] == {
        "description": known["num_trajectories"].help,
        "type": "integer",
        "default": 4,
        "minimum": 1,
    }
    for item in known.values():
        assert schema["properties"][item.name]["description"], item.name


def test_the_page_speaks_the_language_of_the_files():
    text = "lr_scheduler_kwargs: {a: 1}\ntarget_modules: [q_proj, v_proj]"
    assert (
        parse_yaml(text, "x").value["target_modules"]
        == read_command_line(["--target_modules", "[q_proj, v_proj]"]).entries["target_modules"].value
    )
