"""The settings of a bake as a file from which the same bake can be started again."""

import dataclasses
from enum import Enum
from typing import Any

from bakery.settings.build import NEWER_NAMES, BakeSettings
from bakery.settings.catalog import all_fields
from bakery.settings.documents import dump_yaml


def to_yaml(settings: BakeSettings) -> str:
    """Write settings as YAML by groups.

    All settings of Bakery are written, and those of `TrainingArguments` that are not at their default; no tokens.
    """
    values = _values(settings)
    blocks = ["# Settings of a bake. The same again: bakery --config bakery.yaml --overwrite\n"]
    for group in dict.fromkeys(item.group for item in all_fields().values()):
        chosen = {name: values[name] for name, item in all_fields().items() if item.group == group and name in values}
        if chosen:
            blocks.append(f"# {group}\n{dump_yaml(chosen)}")
    return "\n".join(blocks)


def _values(settings: BakeSettings) -> dict[str, Any]:
    parts = (settings.context, settings.model, settings.lora, settings.data)
    values = {item.name: getattr(part, item.name) for part in parts for item in dataclasses.fields(part)}
    defaults = type(settings.bakery)()
    for name, item in all_fields().items():
        if item.group in ("baking", "training"):
            value = _plain(getattr(settings.bakery, name, None))
            if value != _plain(getattr(defaults, name, None)) or (item.group == "baking" and name != "report_to"):
                values[name] = value
    return {name: value for name, value in values.items() if not name.endswith("_token") and name not in NEWER_NAMES}


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.to_dict() if hasattr(value, "to_dict") else value
