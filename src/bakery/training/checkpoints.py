"""Which checkpoint a stopped run goes on from: the newest one that is complete."""

import json
from pathlib import Path

from bakery.errors import ConfigError

_NEEDED = ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt")
_STATE = "trainer_state.json"  # written last


def checkpoint_to_resume(wanted: str | bool | None, output_dir: Path) -> str | None:
    """The folder to resume from; none when not asked for.

    Args:
        wanted: a folder, or true for the newest complete checkpoint in `output_dir`.
        output_dir: where checkpoints are.

    Raises:
        ConfigError: there is none, or the one named is not complete.
    """
    if not wanted:
        return None
    if isinstance(wanted, str):
        problem = _problem(Path(wanted))
        if problem:
            raise ConfigError(f"resume_from_checkpoint: {wanted} {problem}")
        return wanted
    folders = sorted(output_dir.glob("checkpoint-*"), key=_step, reverse=True)
    whole = next((folder for folder in folders if not _problem(folder)), None)
    if whole is None:
        tried = f"; the newest, {folders[0].name}, {_problem(folders[0])}" if folders else ""
        raise ConfigError(f"resume_from_checkpoint: {output_dir} holds no complete checkpoint{tried}; start without it")
    return str(whole)


def _step(folder: Path) -> int:
    number = folder.name.removeprefix("checkpoint-")
    return int(number) if number.isdigit() else -1


def _problem(folder: Path) -> str | None:
    """What keeps a run from going on from here, in words."""
    if not folder.is_dir():
        return "is not a folder"
    missing = next((name for name in _NEEDED if not (folder / name).is_file()), None)
    if missing:
        return f"is not a complete checkpoint: it has no {missing}"
    try:
        json.loads((folder / _STATE).read_text("utf-8"))
    except (OSError, ValueError):
        return f"is not a complete checkpoint: its {_STATE} is missing or cut short"
    return None
