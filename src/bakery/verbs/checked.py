"""What the verbs share: checked settings, how much is said, and whether this process is the one that says it."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakery.command_line import FIRST_COMMAND, Command
from bakery.errors import ConfigError

if TYPE_CHECKING:
    from bakery.progress import Verbosity
    from bakery.settings.build import CheckedSettings

_LAST_PORT = 65535
_START_SECONDS = 900.0
_QUIET_LIBRARIES = {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_VERBOSITY": "error", "TORCH_CPP_LOG_LEVEL": "ERROR",
                    "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}  # fmt: skip


def check(command: Command, *, of_run: bool = False) -> CheckedSettings:
    """Read the file's settings and the command line's over them, and check all that needs neither rows nor a model.

    `of_run`: the file is that of a run folder, which may lack the prompt.

    Raises:
        ConfigError: there are none, or something is wrong with them.
        ModelError: the model is on the hub, which does not give it, and not in the cache.
    """
    from bakery.settings.build import check_settings
    from bakery.settings.hub import only_cached
    from bakery.settings.paths import resolve_model
    from bakery.settings.reading import Settings, check_prompt, read_command_line, read_settings_file

    if not command.verbose:  # before libraries are imported: they read these variables then
        for name, value in _QUIET_LIBRARIES.items():
            os.environ.setdefault(name, value)
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # peft imports it where it is installed
    logging.getLogger("bakery").setLevel(logging.ERROR if command.quiet else logging.WARNING)
    if command.config is None and not command.overrides:
        raise ConfigError(f"no settings given; write {FIRST_COMMAND}, or --config FILE; see bakery --help")
    base = read_settings_file(command.config) if command.config is not None else Settings()
    given = base.overridden_by(read_command_line(command.overrides))
    if of_run:
        check_prompt(given)
    checked = check_settings(given)
    source = resolve_model(checked.model.model_name_or_path, checked.given.at("model_name_or_path"))
    if not command.quiet and not Path(source).is_dir():
        _tell_of_hub(source)
    if command.verb != "serve":  # whose command line can be made without the model
        only_cached(source)
    return checked


def _tell_of_hub(name: str) -> None:
    """Say that a model is asked for at the hub, where it is not here yet: what follows can take long."""
    from huggingface_hub import is_offline_mode, try_to_load_from_cache

    files = ("config.json", "model.safetensors", "model.safetensors.index.json")
    with suppress(ValueError):  # no name of a model, which loading it refuses
        config, *weights = (isinstance(try_to_load_from_cache(name, file), str) for file in files)
        if not (is_offline_mode() or (config and any(weights))):
            print(f"reading {name} from the hub", file=sys.stderr)


def verbosity_of(command: Command) -> Verbosity:
    """How much is said.

    Raises:
        ConfigError: little and much are asked for.
    """
    from bakery.progress import Verbosity

    if command.quiet and command.verbose:
        raise ConfigError("command line: --quiet and --verbose contradict each other; keep one")
    return Verbosity.QUIET if command.quiet else Verbosity.VERBOSE if command.verbose else Verbosity.NORMAL


def check_beside(command: Command, folder: str) -> CheckedSettings:
    """The settings of the command line or, without a file, those that a bake left beside its adapter in a folder.

    Raises:
        ConfigError: there is no such folder, it has no settings, or something is wrong with them.
    """
    from bakery.settings.files import as_path

    if command.config is not None:
        return check(command)
    path = as_path(folder, ConfigError, "command line")
    if not path.is_dir():
        raise ConfigError(f"command line: {command.verb}: no such folder: {folder} (looked in {Path.cwd()})")
    saved = as_path(path / "bakery.yaml", ConfigError)
    if not saved.exists():
        raise ConfigError(f"no settings: {folder} has no bakery.yaml; give --config FILE with the context to prove")
    return check(replace(command, config=str(saved)), of_run=True)


def given_output(checked: CheckedSettings) -> str | None:
    """The output folder as the command line names it; a file's is that of its bake."""
    output: str | None = on_command_line(checked, "output_dir")
    return output


def on_command_line(checked: CheckedSettings, name: str) -> Any:
    """A setting as the command line gives it; None where it does not, whatever a file says."""
    from bakery.settings.reading import COMMAND_LINE

    given = checked.given.entries.get(name)
    return given.value if given is not None and given.location == COMMAND_LINE else None


def port_of(word: str | None) -> int | None:
    """The port that a command line names.

    Raises:
        ConfigError: it is none.
    """
    if word is None:
        return None
    if not word.isdecimal() or int(word) > _LAST_PORT:
        raise ConfigError(f"command line: --port: must be a whole number up to {_LAST_PORT}, got {word!r}")
    return int(word)


def seconds_of(word: str | None) -> float:
    """How long a server may take until it is ready.

    Raises:
        ConfigError: it is no number of seconds.
    """
    if word is None:
        return _START_SECONDS
    if not word.isdecimal() or int(word) == 0:
        raise ConfigError(f"command line: --timeout: must be a whole number of seconds from 1 up, got {word!r}")
    return float(word)


def is_first_process() -> bool:
    """Whether this is the only process, or the first of those that torchrun or accelerate started."""
    return os.environ.get("RANK", "0") == "0"
