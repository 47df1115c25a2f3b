"""What `bakery chat` and `bakery taste` share: one run folder, checked, and its model opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bakery.command_line import Command
from bakery.errors import ConfigError
from bakery.verbs.checked import check_beside, verbosity_of

if TYPE_CHECKING:
    from bakery.settings.build import BakeSettings
    from bakery.taste.conversation import Tasting


def open_one(command: Command) -> tuple[Path, BakeSettings, Tasting, tuple[str, ...]]:
    """The folder that a command line names, its settings, what can be asked there, and questions to begin with.

    Raises:
        BakeryError: there is not one folder, or it cannot be opened.
    """
    from bakery.progress import Progress
    from bakery.rows.bake_data import load_bake_data
    from bakery.settings.build import build
    from bakery.settings.files import as_path
    from bakery.settings.paths import check_adapter

    verbosity, verb = verbosity_of(command), command.verb
    if len(command.folders) != 1:
        given = f"needs the folder of one bake as its first word, got {len(command.folders)}"
        raise ConfigError(f"command line: {verb}: {given}; write bakery {verb} outputs/x")
    (name,) = command.folders
    if not as_path(name, ConfigError, f"command line: {verb}").is_dir():
        raise ConfigError(f"command line: {verb}: no such folder: {name} (looked in {Path.cwd()})")
    checked = check_beside(command, name)
    check_adapter(name, checked.model.model_name_or_path, f"command line: {verb}")
    data = load_bake_data(checked.context, checked.data)
    settings, folder = build(checked), Path(name).expanduser()
    from bakery.taste.opening import open_run

    tasting, questions = open_run(settings, folder, Progress(verbosity), data)
    return folder, settings, tasting, questions
