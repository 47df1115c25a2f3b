"""Files that settings name: only regular files are read, and what cannot be a path is one line, never a traceback."""

import json
import os
import stat
from pathlib import Path
from typing import Any

from bakery.errors import BakeryError
from bakery.text import excerpt

MAX_TEXT_BYTES = 2**30
"""A text that is read as a whole is at most so long."""
_DEEPEST = 200
"""Levels of a description."""
MAX_DESCRIPTION_BYTES = 4_000_000
"""A description, such as an adapter's or a model's, is at most so long."""


def as_path(name: str | Path, error: type[BakeryError], location: str = "") -> Path:
    """The path that a text names, whether or not something is there; `~` is the home folder.

    `location`, where the name was given, is for the message.

    Raises:
        error: the text is empty, too long for a path, or names a folder that may not be looked into.
    """
    shown, start = excerpt(str(name)), location and f"{location}: "
    if not shown:
        raise error(f"{start}the name of a file or folder is empty; write it, or leave the setting out")
    try:
        path = Path(name).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, RuntimeError, ValueError) as problem:
        raise error(f"{start}{shown}: cannot be a path: {getattr(problem, 'strerror', None) or problem}") from problem
    return path


def existing_file(name: str | Path, error: type[BakeryError]) -> Path:
    """The path of a regular file.

    Raises:
        error: nothing is there, or it is a folder, a pipe or a device.
    """
    path = as_path(name, error)
    if not path.exists():
        raise error(f"{name}: no such file (looked in {Path.cwd()})")
    if path.is_dir():
        raise error(f"{name}: is a folder; a file is needed")
    if not path.is_file():
        raise error(f"{name}: is a pipe or a device; a file is needed")
    return path


def file_to_write(name: str | Path, error: type[BakeryError], location: str = "") -> Path:
    """The path of a file that is to be written: a new one in a folder that is there, or a regular one.

    Raises:
        error: something else is there, which might wait for a reader, or there is no such folder.
    """
    path = as_path(name, error, location)
    start = f"{location}: " if location else ""
    if path.exists() and not path.is_file():
        raise error(f"{start}{excerpt(str(name))}: is a folder, a pipe or a device; name a file")
    if not path.parent.is_dir():
        raise error(f"{start}{excerpt(str(name))}: cannot be written: there is no folder {excerpt(str(path.parent))}")
    return path


def read_bytes(name: str | Path, error: type[BakeryError], max_bytes: int = MAX_TEXT_BYTES) -> bytes:
    """The bytes of a regular file; one that has none to give yet, as some in /proc, is not waited for.

    Raises:
        error: there is no such file, it cannot be read, or it is longer than `max_bytes`.
    """
    path, data = existing_file(name, error), bytearray()
    try:
        opened = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(opened, "rb", buffering=0) as file:
            size = os.fstat(opened).st_size
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise error(f"{name}: is a pipe or a device; a file is needed")
            while size <= max_bytes and (piece := file.read(min(max(size, 2**16), max_bytes) + 1)):
                data += piece
                size = max(size, len(data))
    except OSError as problem:
        raise error(f"{name}: cannot be read: {problem.strerror}") from problem
    if size > max_bytes:
        raise error(f"{name}: is {size:,} bytes long or longer; at most {max_bytes:,} are read")
    return bytes(data)


def read_description(file: Path, error: type[BakeryError], max_bytes: int = MAX_DESCRIPTION_BYTES) -> dict[str, Any]:
    """The JSON object of a foreign file, such as a model's `config.json`.

    Raises:
        error: there is no such file, or it cannot be read as an object; the message is one line.
    """
    try:
        value = json.loads(read_bytes(file, error, max_bytes).decode("utf-8"))
    except RecursionError as problem:
        raise error(f"{file}: cannot be read as JSON: it is nested too deeply") from problem
    except ValueError as problem:
        if isinstance(problem, error):
            raise
        raise error(f"{file}: cannot be read as JSON: {excerpt(str(problem), 160)}") from problem
    if not isinstance(value, dict):
        raise error(f"{file}: must hold a JSON object")
    if _is_deep(value):  # which a newer Python reads, and others stumble over later
        raise error(f"{file}: cannot be read as JSON: it is nested too deeply")
    return value


def _is_deep(value: Any) -> bool:
    """Whether lists and mappings lie deeper in each other than any description needs."""
    level = [value]
    for _ in range(_DEEPEST):
        inner = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [item for own in inner for item in own]
    return any(isinstance(one, dict | list) for one in level)


def read_text(
    name: str | Path,
    error: type[BakeryError],
    max_bytes: int = MAX_TEXT_BYTES,
    if_empty: str = "is empty; write something into it, or leave the setting out",
) -> str:
    """The text of a UTF-8 file, without a byte-order mark; `if_empty` is the message for white space alone.

    Raises:
        error: there is no such file, it cannot be read, is empty or longer than `max_bytes`, or is not UTF-8.
    """
    data = read_bytes(name, error, max_bytes)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        raise error(f"{name} line {line}: not UTF-8 text; save the file as UTF-8") from problem
    if not text.strip():
        raise error(f"{name}: {if_empty}")
    return text
