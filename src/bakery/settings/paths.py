"""Checks of the folders that settings name, before anything heavy is imported; nothing is left behind."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from bakery.errors import ConfigError, ResourceError
from bakery.settings.files import as_path, read_description
from bakery.text import nearest

STARTER = "starter"
"""The name of the model that is shipped in this package."""
_TRIAL = ".trial"
RESULT_FILES = ("adapter_model.safetensors", "results.json")


def resolve_model(name: str, location: str = "model_name_or_path") -> str:
    """The folder or hub id to load: `starter` is the shipped model, every other name stands for itself.

    Raises:
        ConfigError: a folder is meant that is not there or holds no model, or the name is a slip for `starter`.
    """
    if name == STARTER:
        return str(Path(__file__).parents[1] / STARTER)
    if not name.strip():
        raise ConfigError(f"{location}: is empty; give a hub id, a folder, or {STARTER}")
    path = as_path(name, ConfigError, location)
    if not path.exists() and not (name.startswith((".", "~", "/")) or "\\" in name or name.count("/") > 1):
        if "/" not in name and nearest(name, [STARTER]):
            raise ConfigError(
                f"{location}: no such model: {name}; did you mean {STARTER}, the one shipped with Bakery?"
            )
        return name
    if path.exists() and not path.is_dir():
        raise ConfigError(f"{location}: {name} is a file; give the model's folder or a hub id")
    if not path.is_dir():
        remedy = f"give a folder with config.json, a hub id such as Qwen/Qwen3-0.6B, or {STARTER}"
        raise ConfigError(f"{location}: no such folder: {name} (looked in {Path.cwd()}); {remedy}")
    if not (path / "config.json").is_file():
        base = base_of(path)
        hint = f"an adapter; give its base model {base!r}" if base else "not a model: it has no config.json"
        raise ConfigError(f"{location}: {name} is {hint}")
    return str(path)


def base_of(folder: Path) -> str | None:
    """The base model that the adapter in a folder names; None where there is no adapter.

    Raises:
        ConfigError: its description cannot be read.
    """
    file = folder / "adapter_config.json"
    if not file.exists():
        return None
    base = read_description(file, ConfigError).get("base_model_name_or_path")
    return base if isinstance(base, str) else "(unknown)"


def check_checkpoint(checkpoint: str | bool | None, output_dir: str | None, base_model: str, location: str) -> None:
    """Refuse a checkpoint to resume from that is not there, or whose adapter belongs to another base.

    Raises:
        ConfigError: it cannot be resumed from.
    """
    if checkpoint is True:
        output = as_path(output_dir or "outputs", ConfigError, "output_dir")
        if not any(output.glob("checkpoint-*")):
            raise ConfigError(f"{location}: true, but {output} holds no checkpoint; start without it")
    elif isinstance(checkpoint, str) and checkpoint != "auto":
        check_adapter(checkpoint, base_model, location)


def check_adapter(name: str, base_model: str, location: str) -> None:
    """Refuse a folder that is not there, holds no adapter, or holds one of another base model.

    Raises:
        ConfigError: it cannot be used.
    """
    folder = as_path(name, ConfigError, location)
    if not folder.is_dir():
        raise ConfigError(f"{location}: no such folder: {name} (looked in {Path.cwd()})")
    base = base_of(folder)
    if base is None:
        raise ConfigError(f"{location}: {name} holds no adapter: it has no adapter_config.json")
    if Path(base).name != Path(base_model).name:
        raise ConfigError(f"{location}: its adapter belongs to the base {base}, not to {base_model}")


def check_adapters(names: Sequence[str], location: str) -> None:
    """Refuse folders of adapters that cannot be compared: too few, the same one twice, or one that holds none.

    Raises:
        ConfigError: they cannot be used.
    """
    if len(names) < 2:
        raise ConfigError(f"{location}: needs the folders of two adapters or more, got {len(names)}")
    paths = [as_path(name, ConfigError, location).resolve() for name in names]
    for number, (name, path) in enumerate(zip(names, paths, strict=True)):
        if path in paths[:number]:
            raise ConfigError(f"{location}: {name} is given twice; give each adapter once")
        if not path.is_dir():
            raise ConfigError(f"{location}: no such folder: {name} (looked in {Path.cwd()})")
        if base_of(path) is None:
            raise ConfigError(f"{location}: {name} holds no adapter: it has no adapter_config.json")


def distinct_ends(paths: Sequence[Path]) -> list[str]:
    """What to call different folders: the last part of each path, and as many before it as tell it from the others."""
    parts = [path.resolve().parts for path in paths]
    ends = [next(_distinct(own, [other for other in parts if other is not own])) for own in parts]
    return [str(Path(*end)) for end in ends]


def _distinct(own: tuple[str, ...], others: Sequence[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """The ends of a path, shortest first, that are the end of no other; the whole path last."""
    for count in range(1, len(own)):
        if all(other[-count:] != own[-count:] for other in others):
            yield own[-count:]
    yield own


def check_output(output_dir: str | None, may_replace: bool, location: str = "output_dir", about: str = "") -> None:
    """Refuse an output folder that is a file, cannot be written, or holds a finished bake that may not be replaced.

    `about`: what is to be said of that bake.

    Raises:
        ConfigError: it cannot be written to.
    """
    if output_dir is not None and not output_dir.strip():
        raise ConfigError(f"{location}: is empty; give a folder")
    folder = as_path(output_dir or "outputs", ConfigError, location)
    parent = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not parent.is_dir():
        raise ConfigError(f"{location}: {parent} is a file; give a folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise ConfigError(f"{location}: {parent} cannot be written; choose another folder")
    finished = [file for file in RESULT_FILES if (folder / file).exists()]
    if finished and not may_replace:
        remedy = "choose another folder, or overwrite: true"
        raise ConfigError(f"{location}: {folder} holds a finished bake{about} ({finished[0]}); {remedy}")


def try_output(output_dir: str | None) -> None:
    """Make the output folder and take it away again: what permissions do not tell, such as /proc or a full disk, does.

    Raises:
        ResourceError: it cannot be made.
    """
    folder = Path(output_dir or "outputs").expanduser().absolute()
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _TRIAL).touch()
        (folder / _TRIAL).unlink()
        for path in missing:
            path.rmdir()
    except OSError as error:
        raise ResourceError(
            f"output_dir: {folder} cannot be written: {error.strerror}; choose another folder"
        ) from error
