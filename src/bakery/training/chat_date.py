"""The date that a chat template writes, stored beside an adapter for whoever resumes or evaluates it another day."""

from datetime import datetime
from pathlib import Path

from bakery.errors import ConfigError
from bakery.settings.files import read_text

_FILE = "chat_date.txt"


def write_date(folder: Path, today: datetime) -> None:
    """Store beside an adapter the date that the chat template wrote when it was baked."""
    (folder / _FILE).write_text(today.isoformat(), encoding="utf-8")


def read_date(folder: str | Path | None) -> datetime | None:
    """The date that `write_date` stored in a folder; none if it stored none.

    Raises:
        ConfigError: the file holds no date.
    """
    path = Path(folder or "") / _FILE
    if folder is None or not path.is_file():
        return None
    try:
        return datetime.fromisoformat(read_text(path, ConfigError, 1000).strip())
    except ConfigError:
        raise
    except ValueError:
        raise ConfigError(f"{path} holds no date such as 2026-11-22; write the day of the bake into it") from None
