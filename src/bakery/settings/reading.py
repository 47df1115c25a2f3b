"""Settings files and command lines -> values by name, each remembered with the location it came from. Torch-free.

The file is YAML 1.2 (`1e-4` is a number, only true and false are booleans) or JSON. Nothing is interpolated,
nothing is executed, and nothing that is not understood is skipped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bakery.errors import ConfigError
from bakery.settings.catalog import all_fields
from bakery.settings.checks import PREFIX_KEYS, TEMPLATE_KEYS
from bakery.settings.documents import read_document
from bakery.settings.fields import Field
from bakery.settings.relative_paths import from_folder
from bakery.settings.values import check_value, from_words
from bakery.text import describe, excerpt, suggestion

# What other tools and older versions of transformers call a setting, and what it is called here.
_OTHER_NAMES = {
    "warmup_ratio": "warmup_steps (a number below 1 is a share of all steps)",
    "evaluation_strategy": "eval_strategy", "overwrite_output_dir": "overwrite", "no_cuda": "use_cpu",
    "lora_r": "r", "lora_rank": "r", "rank": "r", "alpha": "lora_alpha", "lora_target_modules": "target_modules",
    "dataset_name": "dataset", "train_file": "dataset", "model": "model_name_or_path", "max_length": "max_seq_length",
    "max_new_tokens": "trajectory_length", "max_completion_length": "trajectory_length",
    "num_generations": "num_trajectories", "batch_size": "per_device_train_batch_size",
    "epochs": "num_train_epochs", "lr": "learning_rate",
}  # fmt: skip
COMMAND_LINE = "command line"
_RELATIVE = "relative_to_file"


@dataclass(frozen=True, slots=True)
class Setting:
    """One value as it was given, and where: "bake.yaml line 3" or "command line"."""

    value: Any
    location: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What was given, by name."""

    entries: Mapping[str, Setting] = field(default_factory=dict)
    source: Path | None = None

    def overridden_by(self, other: "Settings") -> "Settings":
        """Return these settings with those of `other` laid over them; a prefix replaces any prefix, rows any rows."""
        replaced: set[str] = set()
        if any(key in other.entries and other.entries[key].value is not None for key in PREFIX_KEYS):
            replaced |= {*PREFIX_KEYS, *TEMPLATE_KEYS}
        if other.entries.keys() & {"training_prompts", "dataset"}:
            replaced |= {"training_prompts", "dataset"}
        remaining = {key: entry for key, entry in self.entries.items() if key not in replaced}
        return Settings({**remaining, **other.entries}, self.source or other.source)

    def at(self, name: str) -> str:
        """The location and name of a setting; for the empty name, the file itself."""
        if not name:
            return f"{self.source}: " if self.source else ""
        return f"{self.entries[name].location}: {name}" if name in self.entries else name


def read_settings_file(path: str | Path) -> Settings:
    """Read a YAML or JSON file of settings.

    Raises:
        ConfigError: the file cannot be read or parsed, or holds an unknown or doubled key or a value of a wrong type.
    """
    document = read_document(path)
    if not isinstance(document.value, dict):
        raise ConfigError(f"{path}: must hold settings as key: value, got {describe(document.value)}")
    entries: dict[str, Setting] = {}
    for key, value in document.value.items():
        location = f"{path} line {document.lines[key]}"
        item = find_field(key, location)
        if item.name in entries:
            raise ConfigError(f"{location}: {key}: given twice, also on {entries[item.name].location}; keep one")
        entries[item.name] = Setting(check_value(value, item, location), location)
    relative, folder = entries.pop(_RELATIVE, None), Path(path).parent
    if relative and relative.value:
        entries = {name: replace(one, value=from_folder(name, one.value, folder)) for name, one in entries.items()}
    return Settings(entries, Path(path))


def check_prompt(settings: Settings) -> None:
    """Refuse the settings of a run folder that lack the prompt, as `keep_prompt: false` wants it, where none is given.

    Raises:
        ConfigError: there is no prompt to evaluate with.
    """
    values = {name: entry.value for name, entry in settings.entries.items()}
    dataset = settings.entries.get("dataset")
    if values.get("keep_prompt", True) or any(values.get(key) is not None for key in PREFIX_KEYS):
        return
    if dataset is None or dataset.location != COMMAND_LINE:  # whose rows may bring their own prompts
        remedy = "give it as --system_prompt, or give --config FILE with it"
        raise ConfigError(f"{settings.source}: the prompt was left out of this folder (keep_prompt: false); {remedy}")


def read_command_line(words: Sequence[str]) -> Settings:
    """Read overrides: `--key value`, `--key=value`, `--some-key`, `--flag`, `--no-flag`, `--list a b c`.

    Raises:
        ConfigError: an unknown or doubled option, a value that is missing, superfluous or of a wrong type.
    """
    entries: dict[str, Setting] = {}
    rest = list(words)
    while rest:
        option = rest.pop(0)
        if not option.startswith("--"):
            raise ConfigError(f"{COMMAND_LINE}: unexpected argument {option!r}; settings are written --key value")
        name, equals, value = option[2:].partition("=")
        values = [value] if equals else []
        while not equals and rest and not rest[0].startswith("--"):
            values.append(rest.pop(0))
        item, given = _option(name, values)
        if item.name == _RELATIVE:
            raise ConfigError(
                f"{COMMAND_LINE}: --{name}: is for settings files; write it into the file, or leave it out"
            )
        if item.name in entries:
            raise ConfigError(f"{COMMAND_LINE}: --{name}: given twice; keep one")
        entries[item.name] = Setting(given, COMMAND_LINE)
    return Settings(entries)


def _option(name: str, words: list[str]) -> tuple[Field, Any]:
    known, key = all_fields(), name.replace("-", "_")
    negated = known.get(key.removeprefix("no_")) if key.startswith("no_") and key not in known else None
    if negated is not None and "bool" in negated.kinds and not words:
        return negated, False
    item = find_field(key, COMMAND_LINE, shown=f"--{name}")
    return item, check_value(from_words(words, item, f"{COMMAND_LINE}: {item.name}"), item, COMMAND_LINE)


def find_field(key: str, location: str, shown: str | None = None) -> Field:
    """The field of this name or alias; `shown` is how it was written.

    Raises:
        ConfigError: there is none; the message names the nearest one.
    """
    by_name = {alias: item for item in all_fields().values() for alias in (item.name, *item.aliases)}
    if key in by_name:
        return by_name[key]
    hint = f"did you mean {_OTHER_NAMES[key]}?" if key in _OTHER_NAMES else None
    remedy = hint or suggestion(key, by_name, "`bakery schema` lists every key")
    raise ConfigError(f"{location}: unknown key {excerpt(shown or repr(key))}; {remedy}")
