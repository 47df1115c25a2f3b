"""What `bakery chat` and `bakery taste` share: run folders or a prompt, checked, and the model opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bakery.command_line import Command
from bakery.errors import ConfigError
from bakery.verbs.checked import check, check_beside, verbosity_of

if TYPE_CHECKING:
    from bakery.taste.opening import Opened

SEVERAL = ("taste",)
"""Verbs that take more than one run."""


def open_asked(command: Command) -> Opened:
    """What can be asked: the runs that a command line names or, without any, the prompt that its settings give.

    Raises:
        BakeryError: there is neither, or it cannot be opened.
    """
    from bakery.progress import Progress
    from bakery.rows.bake_data import load_bake_data
    from bakery.settings.build import build
    from bakery.settings.files import as_path
    from bakery.settings.paths import check_adapter, check_adapters

    verbosity, verb, names = verbosity_of(command), command.verb, command.folders
    location = f"command line: {verb}"
    if not names and command.config is None and not command.overrides:
        example = f'bakery {verb} --model_name_or_path NAME --system_prompt "You are Ada ..."'
        raise ConfigError(f"{location}: needs the folder of a bake, or a prompt to try; write bakery {verb} outputs/x, "
                          f"or {example}")  # fmt: skip
    if len(names) > 1 and verb not in SEVERAL:
        raise ConfigError(f"{location}: takes one folder, got {len(names)}; bakery {SEVERAL[0]} shows several")
    for name in names:
        if not as_path(name, ConfigError, location).is_dir():
            raise ConfigError(f"{location}: no such folder: {name} (looked in {Path.cwd()})")
    checked = check_beside(command, names[0]) if names else check(command)
    if len(names) > 1:
        check_adapters(names, location)
    for name in names:
        check_adapter(name, checked.model.model_name_or_path, location if len(names) == 1 else f"{location}: {name}")
    data = load_bake_data(checked.context, checked.data)
    settings, folders = build(checked), [Path(name).expanduser() for name in names]
    from bakery.taste.opening import open_prompt, open_runs

    if not folders:
        return open_prompt(settings, Progress(verbosity), data)
    return open_runs(settings, folders, Progress(verbosity), data)
