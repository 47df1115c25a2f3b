"""A list of the files of a folder with their checksums, written after them: it tells a whole folder from a damaged one.

manifest.json    {"files": {"adapter_model.safetensors": {"bytes": 1576080, "sha256": "..."}, ...}, "about": {...}}
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
_MOST_BYTES = 2**24
"""A manifest that is longer is none of ours."""


@dataclass(frozen=True)
class Manifest:
    """What a folder is to hold.

    Args:
        files: by path from the folder, with `/`: bytes and SHA-256 of each file.
        about: what the writer wanted to remember.
    """

    files: Mapping[str, tuple[int, str]]
    about: Mapping[str, Any] = field(default_factory=dict)


def write_manifest(
    folder: Path, paths: Mapping[str, Path] | None = None, about: Mapping[str, Any] | None = None
) -> None:
    """List files by their names in the folder, and where they are now; without `paths` all that are in it.

    The list appears under its name only when it is whole.

    Raises:
        OSError: a file cannot be read, or the list cannot be written.
    """
    paths = {name: folder / name for name in files_of(folder)} if paths is None else paths
    files = {name: {"bytes": path.stat().st_size, "sha256": checksum(path)} for name, path in sorted(paths.items())}
    replace_text(folder / MANIFEST, json.dumps({"files": files, "about": dict(about or {})}, indent=1))


def replace_text(path: Path, text: str) -> None:
    """Write a text file that is at every moment either the older one or the new one, whole.

    Raises:
        OSError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def read_manifest(folder: Path) -> Manifest | None:
    """What `write_manifest` wrote; None where there is no such file or it is damaged."""
    try:
        if (folder / MANIFEST).stat().st_size > _MOST_BYTES:
            return None
        content = json.loads((folder / MANIFEST).read_text("utf-8"))
        files = {str(name): (int(one["bytes"]), str(one["sha256"])) for name, one in content["files"].items()}
        return Manifest(files, dict(content["about"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def files_of(folder: Path) -> set[str]:
    """All files below a folder but its manifest, by their paths from it."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {path.relative_to(folder).as_posix() for path in paths}


def damage(folder: Path, manifest: Manifest) -> str | None:
    """The first file that is not as it was written, in words; None where all are."""
    for name, (size, expected) in manifest.files.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if (now := path.stat().st_size) != size:
            return f"{name} has {now:,} bytes and was written with {size:,}"
        if checksum(path) != expected:
            return f"{name} was changed after it was written (its checksum differs)"
    return None


def checksum(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
