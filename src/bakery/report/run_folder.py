"""What a bake was given, in its run folder: bakery.yaml and copies of the files that it names, by its own folder.

inputs/dataset.jsonl      a file of rows, named by the setting; what lies on the hub is named only
inputs/corpus_file.md     a document or a prompt, unless `keep_prompt: false`

The folder can be moved, evaluated and resumed elsewhere. While a bake replaces a finished one, all this lies in
`_inputs`, so that a bake that is stopped leaves the older one whole.
"""

import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from bakery.errors import DataError, ResourceError
from bakery.rows.bake_data import BakeData
from bakery.rows.conversations import Conversation
from bakery.rows.questions import ScoredQuestion
from bakery.rows.sources import is_local
from bakery.settings.build import BakeSettings
from bakery.settings.checks import PATH_KEYS, PREFIX_KEYS
from bakery.settings.files import as_path
from bakery.settings.relative_paths import INPUTS, ROW_KEYS, SETTINGS_FILE, base_from
from bakery.settings.run_state import AUTO
from bakery.settings.saving import to_yaml

_PENDING = "_inputs"


def save_inputs(settings: BakeSettings, data: BakeData) -> None:
    """Copy what the bake was given into its run folder, before it is trained.

    The settings are written too, unless there are several processes (see `default_values`).

    Raises:
        ResourceError: a file cannot be copied.
    """
    folder = Path(settings.bakery.output_dir or "outputs")
    shutil.rmtree(folder / _PENDING, ignore_errors=True)
    target = folder / _PENDING if (folder / "results.json").exists() else folder
    copies = _copies(settings, data)
    try:
        for name, source in copies.items():
            _copy(source, target / name)
        if settings.bakery.world_size == 1:
            target.mkdir(parents=True, exist_ok=True)
            (target / SETTINGS_FILE).write_text(run_settings(settings, data), encoding="utf-8")
    except (OSError, shutil.Error) as error:
        reason = f"{error.filename}: {error.strerror}" if error.strerror else error
        raise ResourceError(
            f"output_dir: the files of the bake cannot be copied into {target}: {reason}; choose another folder"
        ) from error
    _remove_older(target, set(copies))


def accept_inputs(folder: Path, current: Collection[str]) -> None:
    """Put what a bake was given where that of the finished bake lies that it replaces; may be called again.

    `current`: the files of this bake, by their paths in the run folder; other copies are an earlier bake's.
    """
    pending = folder / _PENDING
    if not pending.is_dir():
        return
    _remove_older(folder, {"/".join(name.split("/")[:2]) for name in current})
    for name in (*(f"{INPUTS}/{path.name}" for path in (pending / INPUTS).glob("*")), SETTINGS_FILE):
        if (pending / name).exists():
            (folder / name).parent.mkdir(exist_ok=True)
            _remove(folder / name)
            os.replace(pending / name, folder / name)
    shutil.rmtree(pending)


def input_files(folder: Path) -> dict[str, Path]:
    """The copies of what a bake was given, by the paths that they will have in its run folder."""
    root = folder / _PENDING if (folder / _PENDING).is_dir() else folder
    files = (path for path in (root / INPUTS).rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path for path in files}


def run_settings(settings: BakeSettings, data: BakeData) -> str:
    """The text of bakery.yaml: the settings of the bake, with paths from its own run folder."""
    folder = Path(settings.bakery.output_dir or "outputs")
    changes: dict[str, Any] = {
        "relative_to_file": True,
        "output_dir": ".",
        "resume_from_checkpoint": AUTO,
        "model_name_or_path": base_from(folder, settings.model.model_name_or_path),
        **{Path(name).stem: f"./{name}" for name in _copies(settings, data)},
    }
    if not settings.bakery.keep_prompt:
        left_out = set(_left_out(settings, data))
        changes |= {"keep_prompt": not left_out, **dict.fromkeys(left_out)}
    return to_yaml(settings, changes)


def _given(settings: BakeSettings) -> dict[str, Any]:
    """The settings that name or hold a prompt or rows, as far as they are given."""
    values = {**vars(settings.context), **vars(settings.data)}
    return {name: value for name, value in values.items() if value is not None}


def _left_out(settings: BakeSettings, data: BakeData) -> Iterator[str]:
    """The settings that hold the prompt, or name files in which rows bring their own."""
    given = _given(settings)
    yield from (key for key in (*PREFIX_KEYS, "system_prompt_template") if key in given)
    rows: tuple[Sequence[Conversation | ScoredQuestion], ...] = (
        data.train, data.validation, data.heldout, data.evaluation, data.anchors, data.drift
    )  # fmt: skip
    for key, own in zip(ROW_KEYS, rows, strict=True):
        if key in given and is_local(given[key]) and any(row.prefix for row in own):
            yield key


def _copies(settings: BakeSettings, data: BakeData) -> dict[str, Path]:
    """The local files and folders that the settings name, each by the name of its copy in the run folder."""
    given = _given(settings)
    left_out = () if settings.bakery.keep_prompt else set(_left_out(settings, data))
    paths = {
        key: as_path(given[key], DataError, key)
        for key in PATH_KEYS
        if key in given and key not in left_out and (key not in ROW_KEYS or is_local(given[key]))
    }
    return {f"{INPUTS}/{key}{'' if path.is_dir() else path.suffix.lower()}": path for key, path in paths.items()}


def _copy(source: Path, target: Path) -> None:
    if target.exists() and target.samefile(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, target)


def _remove_older(folder: Path, current: set[str]) -> None:
    """Remove the copies of an earlier bake that are none of this one's; nothing else in the folder is touched."""
    for path in (folder / INPUTS).glob("*"):
        if path.stem in PATH_KEYS and f"{INPUTS}/{path.name}" not in current:
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
