"""Checks of the folders and files that settings name, before anything heavy is imported; nothing is written."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bakery.errors import ConfigError
from bakery.settings.checks import Place, by_name

STARTER = "starter"
RESULT_FILES = ("adapter_model.safetensors", "results.json")


def check_places(values: Mapping[str, Any], at: Place = by_name) -> None:
    """Check the model's folder, the checkpoint to resume from and the output folder.

    Raises:
        ConfigError: one of them cannot be what it is meant to be.
    """
    check_model(values["model_name_or_path"], at("model_name_or_path"))
    check_checkpoint(values, at)
    check_output(values, at)


def check_model(name: str, place: str) -> None:
    """Refuse a local folder that holds no model; a hub id is left alone."""
    path = Path(name).expanduser()
    if not name.strip():
        raise ConfigError(f"{place}: is empty; give a hub id, a folder, or {STARTER}")
    if name == STARTER or (not path.exists() and not _looks_local(name)):
        return
    if not path.exists():
        raise ConfigError(f"{place}: no such folder: {name} (looked in {Path.cwd()})")
    if not path.is_dir():
        raise ConfigError(f"{place}: {name} is a file; give the model's folder or a hub id")
    if not (path / "config.json").is_file():
        base = _base_of(path)
        hint = f"an adapter; give its base model {base!r}" if base else "not a model: it has no config.json"
        raise ConfigError(f"{place}: {name} is {hint}")


def _looks_local(name: str) -> bool:
    return name.startswith((".", "~", "/")) or "\\" in name or name.count("/") > 1


def _base_of(folder: Path) -> str | None:
    file = folder / "adapter_config.json"
    if not file.is_file():
        return None
    try:
        held = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: cannot be read as JSON: {error}") from error
    base = held.get("base_model_name_or_path") if isinstance(held, dict) else None
    return base if isinstance(base, str) else "(unknown)"


def check_checkpoint(values: Mapping[str, Any], at: Place = by_name) -> None:
    """Refuse a checkpoint that is not there, or whose adapter belongs to another base."""
    wanted = values.get("resume_from_checkpoint")
    if wanted is None or wanted is False:
        return
    place = at("resume_from_checkpoint")
    output = Path(values["output_dir"] or "outputs").expanduser()
    if wanted is True:
        if not any(output.glob("checkpoint-*")):
            raise ConfigError(f"{place}: true, but {output} holds no checkpoint; start without it")
        return
    check_adapter(wanted, values["model_name_or_path"], place)


def check_adapter(name: str, base_model: str, place: str) -> None:
    """Refuse a folder that is not there, holds no adapter, or holds one of another base model."""
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise ConfigError(f"{place}: no such folder: {name} (looked in {Path.cwd()})")
    base = _base_of(folder)
    if base is None:
        raise ConfigError(f"{place}: {name} holds no adapter: it has no adapter_config.json")
    if Path(base).name != Path(base_model).name:
        raise ConfigError(f"{place}: its adapter belongs to the base {base}, not to {base_model}")


def check_output(values: Mapping[str, Any], at: Place = by_name) -> None:
    """Refuse an output folder that is a file, cannot be written, or holds a finished bake."""
    name, place = values["output_dir"], at("output_dir")
    if name is not None and not name.strip():
        raise ConfigError(f"{place}: is empty; give a folder")
    folder = Path(name or "outputs").expanduser()
    parent = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not parent.is_dir():
        raise ConfigError(f"{place}: {parent} is a file; give a folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise ConfigError(f"{place}: {parent} cannot be written; choose another folder")
    finished = [file for file in RESULT_FILES if (folder / file).exists()]
    if finished and not values.get("overwrite") and not values.get("resume_from_checkpoint"):
        raise ConfigError(
            f"{place}: {folder} holds a finished bake ({finished[0]}); choose another folder, or overwrite: true"
        )
