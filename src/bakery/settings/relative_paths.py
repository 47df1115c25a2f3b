"""Paths in a settings file that are relative to its own folder, so that both can be moved. Torch-free."""

import os
from pathlib import Path
from typing import Any

from bakery.settings.paths import STARTER, base_of

SETTINGS_FILE = "bakery.yaml"
"""The file in a run folder from which its bake can be started again."""
INPUTS = "inputs"
"""The folder in a run folder where copies of the files lie that its bake was given."""
LOCAL_KEYS = ("corpus_file", "prefix_messages_file", "system_prompt_file", "output_dir", "resume_from_checkpoint")
"""Settings that never name anything on the hub."""
ROW_KEYS = ("dataset", "eval_dataset", "heldout_file", "eval_file", "anchor_dataset", "anchor_file")
_MODEL = "model_name_or_path"


def from_folder(key: str, value: Any, folder: Path) -> Any:
    """The value of a setting in a file in `folder`: a path as an absolute one, anything else as it is.

    What may be a hub id is a path where it begins with a dot or where something of this name lies in the folder. A base
    model that is gone is looked for where the adapter in the folder says that it was.

    Raises:
        ConfigError: the adapter's description cannot be read.
    """
    if not isinstance(value, str) or not value.strip() or value.startswith("~"):
        return value
    path = os.path.normpath(folder.absolute() / value)
    if key == _MODEL and value.startswith(".") and not os.path.isdir(path):
        base = base_of(folder)
        return base if base and os.path.isdir(base) else path
    may_be_id = key in (*ROW_KEYS, _MODEL) and not value.startswith(".")
    is_path = key in (*LOCAL_KEYS, *ROW_KEYS, _MODEL) and (not may_be_id or os.path.exists(path))
    return path if is_path else value


def base_from(folder: Path, name: str) -> str:
    """How a settings file in `folder` names a base model: a folder by the way there, any other by its name."""
    path = Path(name).expanduser()
    if name == STARTER or not path.is_dir():
        return name
    way = os.path.relpath(path, folder)
    return way if way.startswith(".") else os.path.join(".", way)
