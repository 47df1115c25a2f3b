"""Files that settings name: only regular files are read, and what cannot be a path is one line, never a traceback."""

from pathlib import Path

from bakery.errors import BakeryError
from bakery.text import excerpt


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


def read_text(
    name: str | Path,
    error: type[BakeryError],
    max_bytes: int | None = None,
    if_empty: str = "is empty; write something into it, or leave the setting out",
) -> str:
    """The text of a UTF-8 file, without a byte-order mark; `if_empty` is the message for white space alone.

    Raises:
        error: there is no such file, it cannot be read, is empty or longer than `max_bytes`, or is not UTF-8.
    """
    path = existing_file(name, error)
    try:
        if max_bytes is not None and path.stat().st_size > max_bytes:
            raise error(f"{name}: is {path.stat().st_size:,} bytes long; at most {max_bytes:,} are read")
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as problem:
        raise error(f"{name}: cannot be read: {problem.strerror}") from problem
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        raise error(f"{name} line {line}: not UTF-8 text; save the file as UTF-8") from problem
    if not text.strip():
        raise error(f"{name}: {if_empty}")
    return text
