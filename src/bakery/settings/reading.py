"""Settings files and command lines -> checked values, each remembered with the place it came from. Torch-free.

    read_settings_file(path) ┐
                             ├─> Settings ─> resolve() ─> values by name ─> build() ─> BakeSettings
    read_command_line(words) ┘

The file is YAML 1.2 (`1e-4` is a number, only true and false are booleans) or JSON. Nothing is interpolated,
nothing is executed, and nothing that is not understood is skipped.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from bakery.errors import ConfigError
from bakery.settings.checks import PREFIX_KEYS, TEMPLATE_KEYS, show, validate
from bakery.settings.config import BakeSettings, ContextConfig, DataConfig, LoraConfig, ModelConfig, all_fields
from bakery.settings.documents import dump_yaml, parse_inline, read_document
from bakery.settings.fields import COMPUTED, Field
from bakery.text import nearest

# Names people know from elsewhere, and what they are called here.
ELSEWHERE = {
    "warmup_ratio": "warmup_steps (a number below 1 is a share of all steps)",
    "evaluation_strategy": "eval_strategy",
    "overwrite_output_dir": "overwrite",
    "lora_r": "r",
    "lora_rank": "r",
    "rank": "r",
    "alpha": "lora_alpha",
    "lora_target_modules": "target_modules",
    "dataset_name": "dataset",
    "train_file": "dataset",
    "model": "model_name_or_path",
    "max_length": "max_seq_length",
    "max_new_tokens": "trajectory_length",
    "max_completion_length": "trajectory_length",
    "num_generations": "num_trajectories",
    "batch_size": "per_device_train_batch_size",
    "epochs": "num_train_epochs",
    "lr": "learning_rate",
    "no_cuda": "use_cpu",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One value as it was given, and where."""

    value: Any
    place: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Values by canonical name, with their places."""

    entries: Mapping[str, Setting] = field(default_factory=dict)
    source: Path | None = None

    def overridden_by(self, other: Settings) -> Settings:
        """Return these settings with those of `other` laid over them (a prefix replaces a prefix)."""
        kept = dict(self.entries)
        if any(key in other.entries and other.entries[key].value is not None for key in PREFIX_KEYS):
            kept = {key: value for key, value in kept.items() if key not in (*PREFIX_KEYS, *TEMPLATE_KEYS)}
        if "training_prompts" in other.entries or "dataset" in other.entries:
            kept.pop("training_prompts", None)
            kept.pop("dataset", None)
        return Settings({**kept, **other.entries}, self.source or other.source)

    def at(self, name: str) -> str:
        """Name the place of a setting; for the empty name, the file itself."""
        if not name:
            return f"{self.source}: " if self.source else ""
        return f"{self.entries[name].place}: {name}" if name in self.entries else name


def read_settings_file(path: str | Path) -> Settings:
    """Read a YAML or JSON file of settings.

    Raises:
        ConfigError: the file cannot be read or parsed, or holds an unknown or doubled key or a value of a wrong type.
    """
    document = read_document(path, ConfigError)
    if not isinstance(document.value, dict):
        raise ConfigError(f"{path}: must hold settings as key: value, got {show(document.value)}")
    known = all_fields()
    entries: dict[str, Setting] = {}
    for key, value in document.value.items():
        place = f"{path} line {document.lines[key]}"
        item = find_field(key, known, place)
        if item.name in entries:
            raise ConfigError(f"{place}: {key}: given twice, also on {entries[item.name].place}; keep one")
        entries[item.name] = Setting(check_type(value, item, place), place)
    return Settings(entries, Path(path))


def read_command_line(words: Sequence[str]) -> Settings:
    """Read overrides: `--key value`, `--key=value`, `--some-key`, `--flag`, `--no-flag`, `--list a b c`.

    Raises:
        ConfigError: an unknown or doubled option, a value that is missing, superfluous or of a wrong type.
    """
    known = all_fields()
    entries: dict[str, Setting] = {}
    position = 0
    while position < len(words):
        option = words[position]
        position += 1
        if not option.startswith("--"):
            raise ConfigError(f"command line: unexpected argument {option!r}; settings are written --key value")
        name, equals, value = option[2:].partition("=")
        values = [value] if equals else []
        while not equals and position < len(words) and not words[position].startswith("--"):
            values.append(words[position])
            position += 1
        item, setting = _option(name, values, known)
        if item.name in entries:
            raise ConfigError(f"command line: --{name}: given twice; keep one")
        entries[item.name] = setting
    return Settings(entries)


def _option(name: str, values: list[str], known: Mapping[str, Field]) -> tuple[Field, Setting]:
    place = "command line"
    key = name.replace("-", "_")
    negated = known.get(key.removeprefix("no_")) if key.startswith("no_") and key not in known else None
    if negated is not None and "bool" in negated.kinds and not values:
        return negated, Setting(False, place)
    item = find_field(key, known, place, shown=f"--{name}")
    value = _from_words(values, item, f"{place}: {item.name}")
    return item, Setting(check_type(value, item, place), place)


def _from_words(words: list[str], item: Field, place: str) -> Any:
    if not words:
        if "bool" in item.kinds:
            return True
        raise ConfigError(f"{place}: has no value; allowed is {item.allowed}")
    if "list" in item.kinds and not (len(words) == 1 and "str" in item.kinds and not words[0].startswith("[")):
        if len(words) == 1 and (words[0].startswith("[") or words[0] == "null"):
            return parse_inline(words[0], place)
        return [_from_word(word, item.items, place) for word in words]
    if len(words) > 1:
        raise ConfigError(f"{place}: takes one value, got {len(words)}: {' '.join(words)}; quote it if it has spaces")
    return _from_word(words[0], item.kinds, place)


def _from_word(word: str, kinds: frozenset[str], place: str) -> Any:
    """Read one word of the command line as what its field can hold; text is the last resort."""
    if "bool" in kinds and word.lower() in ("true", "false"):
        return word.lower() == "true"
    if (word.startswith("{") and "mapping" in kinds) or (word == "null" and "null" in kinds):
        return parse_inline(word, place)
    if "str" not in kinds or kinds & {"int", "float"}:
        value = parse_inline(word, place)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
    return word if "mapping" not in kinds or "str" in kinds or not word.strip() else parse_inline(word, place)


def find_field(key: Any, known: Mapping[str, Field], place: str, shown: str | None = None) -> Field:
    """Return the field named `key` (or an alias of it), or raise ConfigError that names the nearest one."""
    if key in known:
        return known[key]
    for item in known.values():
        if key in item.aliases:
            return item
    names = [*known, *(alias for item in known.values() for alias in item.aliases)]
    hint = ELSEWHERE.get(key) or nearest(str(key), names)
    remedy = f"did you mean {hint}?" if hint else "`bakery schema` lists every key"
    raise ConfigError(f"{place}: unknown key {shown or repr(key)}; {remedy}")


def check_type(value: Any, item: Field, place: str) -> Any:
    """Return `value` as `item` holds it (1e3 for a whole number becomes 1000), or raise ConfigError."""
    kinds = item.kinds
    fits = _fit(value, kinds)
    if fits is None and not (value is None and "null" in kinds):
        quoted = "str" in kinds and isinstance(value, int | float)
        unquoted = isinstance(value, str) and not item.choices and kinds & {"int", "float", "bool"}
        hint = "; put it in quotes" if quoted else "; write it without quotes" if unquoted and _plain(value) else ""
        raise ConfigError(f"{place}: {item.name}: must be {item.allowed}, got {show(value)}{hint}")
    if isinstance(fits, float) and not math.isfinite(fits):
        raise ConfigError(f"{place}: {item.name}: must be a finite number, got {value}")
    if item.choices and isinstance(fits, str) and fits not in item.choices:
        near = nearest(fits, item.choices)
        hint = f"; did you mean {near}?" if near else ""
        raise ConfigError(f"{place}: {item.name}: must be {item.allowed}, got {show(value)}{hint}")
    if isinstance(fits, list) and item.items:
        return [_check_item(one, number, item, place) for number, one in enumerate(fits, 1)]
    return fits


def _check_item(value: Any, number: int, item: Field, place: str) -> Any:
    fits = _fit(value, item.items)
    if fits is None:
        hint = "; put it in quotes" if "str" in item.items and isinstance(value, int | float) else ""
        raise ConfigError(f"{place}: {item.name}: must be {item.allowed}, got {show(value)} as item {number}{hint}")
    return fits


def _plain(text: str) -> bool:
    return text.lower() in ("true", "false") or text.replace(".", "", 1).lstrip("-").isdigit()


def _fit(value: Any, kinds: frozenset[str]) -> Any:
    if "any" in kinds and value is not None:
        return value
    if isinstance(value, bool):
        return value if "bool" in kinds else None
    if isinstance(value, int | float):
        if "int" in kinds and float(value).is_integer():
            return int(value)
        return float(value) if "float" in kinds else None
    for kind, python in (("str", str), ("list", list), ("mapping", dict)):
        if isinstance(value, python):
            return value if kind in kinds else None
    return None


def resolve(settings: Settings) -> dict[str, Any]:
    """Fill in the defaults and check everything that can be checked without a file or a model.

    Raises:
        ConfigError: see `checks.validate`.
    """
    defaults = {name: item.default for name, item in all_fields().items() if item.default is not COMPUTED}
    values = defaults | {name: entry.value for name, entry in settings.entries.items()}
    validate(values, settings.at)
    return values


@dataclass(frozen=True, slots=True)
class PlainParts:
    """The parts of `BakeSettings` that need no torch."""

    context: ContextConfig
    model: ModelConfig
    lora: LoraConfig
    data: DataConfig


def plain_parts(settings: Settings, note: Callable[[str], None] | None = None) -> PlainParts:
    """Check all settings and make the dataclasses that need no torch.

    Args:
        settings: what the user gave.
        note: takes the text of a deprecation; without it the deprecation is warned about.

    Raises:
        ConfigError: see `checks.validate`.
    """
    resolve(settings)
    with warnings.catch_warnings(record=note is not None) as caught:
        if note is not None:
            warnings.simplefilter("always")
        parts = PlainParts(*(_part(owner, settings) for owner in (ContextConfig, ModelConfig, LoraConfig, DataConfig)))
    for warning in caught or ():
        if note is not None and issubclass(warning.category, DeprecationWarning):
            note(str(warning.message))
    return parts


def _part(owner: Callable[..., Any], settings: Settings) -> Any:
    names = {item.name for item in dataclasses.fields(owner)}  # type: ignore[arg-type]
    return owner(**{name: entry.value for name, entry in settings.entries.items() if name in names})


def build(settings: Settings, parts: PlainParts | None = None) -> BakeSettings:
    """Make the settings of one bake (this imports torch).

    Raises:
        ConfigError: a setting, or a combination that transformers refuses.
    """
    parts = parts or plain_parts(settings)
    from bakery.settings.arguments import BakeryConfig

    theirs = {item.name for item in all_fields().values() if item.group in ("baking", "training")}
    given = {name: entry.value for name, entry in settings.entries.items() if name in theirs}
    try:
        bakery = BakeryConfig(**_newer_names(given))
    except (ValueError, TypeError, ImportError, OSError, NotImplementedError) as error:
        raise ConfigError(f"{settings.at('')}{' '.join(str(error).split())}") from error
    return BakeSettings(bakery, parts.context, parts.model, parts.lora, parts.data, settings.source)


def to_yaml(settings: BakeSettings) -> str:
    """Write settings as a file from which the same bake can be started again.

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
    plain = type(settings.bakery)()
    for name, item in all_fields().items():
        value = _plain_value(getattr(settings.bakery, name, None))
        ours = item.group == "baking" and name != "report_to"
        changed = value != _plain_value(getattr(plain, name, None))
        if name not in values and (ours or (item.group in ("baking", "training") and changed)):
            values[name] = value
    return {name: value for name, value in values.items() if not name.endswith("_token") and name not in _DEPRECATED}


_DEPRECATED = {
    "gradient_checkpointing": "activation_checkpointing",
    "gradient_checkpointing_kwargs": "activation_checkpointing_kwargs",
}


def _plain_value(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list | tuple):
        return [_plain_value(item) for item in value]
    return value.to_dict() if hasattr(value, "to_dict") else value


def _newer_names(values: dict[str, Any]) -> dict[str, Any]:
    known = all_fields()
    return {(_DEPRECATED[n] if _DEPRECATED.get(n) in known else n): value for n, value in values.items()}
