"""The settings of a bake as a file from which the same bake can be started again."""

import dataclasses
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any

from bakery.settings.build import NEWER_NAMES, BakeSettings
from bakery.settings.catalog import all_fields
from bakery.settings.documents import dump_yaml


def to_yaml(settings: BakeSettings, changes: Mapping[str, Any] | None = None) -> str:
    """Write settings as YAML by groups, `changes` in place of what they say.

    All settings of Bakery are written, and those of `TrainingArguments` that are not at their default; no tokens.
    """
    changes = changes or {}
    parts = (settings.context, settings.model, settings.lora, settings.data)
    values = {item.name: getattr(part, item.name) for part in parts for item in dataclasses.fields(part)}
    defaults = default_values()
    groups: dict[str, dict[str, Any]] = {}
    for name, item in all_fields().items():
        if item.group in ("baking", "training"):
            values[name] = changes.get(name, _plain(getattr(settings.bakery, name, None)))
            changed = values[name] != defaults.get(name)
            if not changed and (item.group == "training" or name == "report_to"):
                continue
        if not name.endswith("_token") and name not in NEWER_NAMES:
            groups.setdefault(item.group, {})[name] = changes.get(name, values[name])
    blocks = [f"# {group}\n{dump_yaml(chosen)}" for group, chosen in groups.items()]
    return "\n".join(["# Settings of a bake. The same again: bakery --config bakery.yaml --overwrite\n", *blocks])


@cache
def default_values() -> dict[str, Any]:
    """How to bake when nothing is said, by the names of `BakeryConfig`.

    transformers then forgets which processes and trainers there are. First ask before there is a trainer, where there
    are several processes after it has done its work.
    """
    from bakery.settings.arguments import BakeryConfig

    return {name: _plain(value) for name, value in vars(BakeryConfig()).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.to_dict() if hasattr(value, "to_dict") else value
