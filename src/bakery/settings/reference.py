"""What every setting is, made from the dataclasses: the reference page and the JSON schema for editors."""

from importlib.metadata import version
from typing import Any

from bakery.settings.catalog import all_fields
from bakery.settings.checks import RANGES
from bakery.settings.documents import dump_yaml
from bakery.settings.fields import COMPUTED, Field
from bakery.settings.messages import ROLES

_SCHEMA = {"bool": "boolean", "int": "integer", "float": "number", "str": "string", "list": "array",
           "mapping": "object", "null": "null"}  # fmt: skip

_INTRODUCTION = """\
# Settings

Written from the dataclasses by `python -m bakery.settings.reference`; a test keeps it up to date.

A settings file is flat YAML or JSON: one key per setting, every key below. On the command line the same setting is
`--key value`, `--key=value`, `--some-key` or `--some_key`; lists are `--key a b c`, switches `--key` or `--no-key`;
`null`, lists and mappings can be given as YAML in quotes. The command line wins over the file. What files of rows may
hold is described in [rows](rows.md).

For completion in an editor write `bakery schema > bakery.schema.json` and begin the settings file with
`# yaml-language-server: $schema=bakery.schema.json`.
"""

_GROUPS = {
    "context": "What is baked in, and which tokens are learned (`ContextConfig`).",
    "data": "The rows to learn from and to be scored on (`DataConfig`). Paths are relative to the working directory.",
    "baking": "How it is baked (`BakeryConfig`).",
    "model": "The base model (`ModelConfig`).",
    "LoRA": "The adapter (`LoraConfig`).",
    "training": f"The other fields of `TrainingArguments`, as in transformers {version('transformers')}.",
}


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a settings file, for editors."""
    properties = {}
    for item in all_fields().values():
        properties[item.name] = _property(item)
        for alias in item.aliases:
            properties[alias] = {**_property(item), "description": f"The same as {item.name}."}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Bakery settings",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def _property(item: Field) -> dict[str, Any]:
    schema: dict[str, Any] = {"description": item.help}
    if "any" not in item.kinds:
        types = sorted(_SCHEMA[kind] for kind in item.kinds)
        schema["type"] = types[0] if len(types) == 1 else types
    if item.choices and item.kinds == {"str"}:
        schema["enum"] = list(item.choices)
    if item.items and "any" not in item.items:
        schema["items"] = _items(item)
    if item.default is not COMPUTED and item.default is not None:
        schema["default"] = item.default
    if item.name in RANGES:
        allowed = RANGES[item.name]
        schema["exclusiveMinimum" if allowed.above else "minimum"] = allowed.low
        if allowed.high != float("inf"):
            schema["exclusiveMaximum" if allowed.below else "maximum"] = allowed.high
    return schema


def _items(item: Field) -> dict[str, Any]:
    if item.name == "target_roles":
        return {"enum": list(ROLES)}
    if item.name == "prefix_messages":
        return {
            "type": "object",
            "required": ["role"],
            "properties": {"role": {"enum": list(ROLES)}, "content": {"type": ["string", "array", "null"]}},
        }
    return {"type": sorted(_SCHEMA[kind] for kind in item.items)}


def reference_page() -> str:
    """Return the reference page as Markdown: every setting with type, default, help and example."""
    lines = [_INTRODUCTION]
    for group, title in _GROUPS.items():
        columns = ("setting", "type", "default", "meaning") + (("example",) if group != "training" else ())
        lines += [f"## {group}\n\n{title}\n", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
        lines += [_line(item, "example" in columns) for item in all_fields().values() if item.group == group]
        lines.append("")
    return "\n".join(lines)


def _line(item: Field, with_example: bool) -> str:
    name = f"`{item.name}`" + "".join(f" (or `{alias}`)" for alias in item.aliases)
    allowed = item.allowed + (f", {RANGES[item.name]}" if item.name in RANGES else "")
    default = repr(item.default) if item.default is COMPUTED else f"`{dump_yaml(item.default, flow=True)}`"
    cells = [name, allowed, default, " ".join(item.help.split())]
    if with_example:
        cells.append(f"`{item.name}: {dump_yaml(example(item), flow=True)}`")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def example(item: Field) -> Any:
    """A value somebody might set: for a switch, and where there are choices, another one than the default."""
    if item.example is not None:
        return item.example
    return next(choice for choice in item.choices if choice != item.default) if item.choices else not item.default


if __name__ == "__main__":
    print(reference_page(), end="")
