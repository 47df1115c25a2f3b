"""How far the bake in a run folder is, and who is writing there. Torch-free.

_run.json    the bake that began here last: how far it is, and a digest of each setting that decides what is learned
.lock        held by the process that bakes into the folder; the system releases it when that process ends, however
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast, get_args

from filelock import FileLock, Timeout

from bakery.errors import ConfigError, ModelError, ResourceError
from bakery.manifest import MANIFEST, damage, read_manifest, replace_text
from bakery.settings.files import as_path

STATE = "_run.json"  # the hub's upload leaves out what begins like this
_LOCK = ".lock"
_WAIT_SECONDS = 3.0
"""A process that was killed holds its lock until the system has taken its memory back."""
_LOADED = ("adapter_", "tokenizer", "chat_template", "chat_date", "special_tokens", "added_tokens", "vocab", "merges")
"""How the names of files begin without which an adapter does not answer as it did."""
AUTO = "auto"
"""For `resume_from_checkpoint`: the same command goes on where it was stopped."""
Phase = Literal["baking", "moving", "finished"]
"""`moving`: the results are written and are being put where they belong."""


@dataclass(frozen=True)
class RunState:
    """The bake that began in a folder last.

    Args:
        phase: how far it is.
        digests: of its settings and rows, by name.
    """

    phase: Phase
    digests: Mapping[str, str]

    def differences(self, digests: Mapping[str, str]) -> list[str]:
        """The names of the settings that are others, in their order."""
        return [name for name in {**digests, **self.digests} if digests.get(name) != self.digests.get(name)]


def read_state(folder: Path) -> RunState | None:
    """What `write_state` wrote; None where it wrote nothing, or it is damaged."""
    try:
        content = json.loads((folder / STATE).read_text("utf-8"))
        digests = {str(name): str(digest) for name, digest in content["digests"].items()}
        phase = content["phase"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return RunState(cast(Phase, phase), digests) if phase in get_args(Phase) else None


def write_state(folder: Path, state: RunState) -> None:
    """Remember how far the bake is.

    Raises:
        ResourceError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_text(folder / STATE, json.dumps({"phase": state.phase, "digests": dict(state.digests)}, indent=1))
    except OSError as error:
        raise ResourceError(f"output_dir: {folder / STATE} cannot be written: {error.strerror}") from error


def check_run(folder: Path) -> list[str]:
    """Refuse a run folder whose adapter or tokenizer is not as its bake wrote it; a sentence on any other file.

    A folder without a manifest is not looked at: what made it wrote none.

    Raises:
        ModelError: the adapter or the tokenizer is damaged, or was changed.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        if (folder / MANIFEST).exists():
            return [f"{folder / MANIFEST} is damaged, so nothing tells whether the other files are whole"]
        return []
    told = []
    for name in manifest.files:
        problem = damage(folder, replace(manifest, files={name: manifest.files[name]}))
        if problem and name.startswith(_LOADED):
            remedy = f"bake again, take a whole copy, or remove {MANIFEST} to use it as it is"
            raise ModelError(f"{folder}: the bake is damaged: {problem}; {remedy}")
        if problem:
            told.append(f"{folder}: {problem}")
    return told


@contextmanager
def locked(output_dir: str | None) -> Iterator[None]:
    """Be the only process that bakes into this folder. A process that is gone, however it ended, holds no lock.

    Raises:
        ConfigError: another process bakes into it.
        ResourceError: the folder cannot be written.
    """
    folder = as_path(output_dir or "outputs", ConfigError, "output_dir")
    missing = [path for path in (folder, *folder.absolute().parents) if not path.exists()]
    lock = FileLock(folder / _LOCK, timeout=_WAIT_SECONDS)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise ConfigError(
            f"output_dir: another process is baking into {folder}; wait for it, or choose another folder"
        ) from None
    except NotImplementedError:
        pass  # a file system without locks
    except OSError as error:
        raise ResourceError(
            f"output_dir: {folder} cannot be written: {error.strerror or error}; choose another folder"
        ) from error
    try:
        yield
    finally:
        lock.release()
        _remove_empty(folder, missing)


def _remove_empty(folder: Path, made: Sequence[Path]) -> None:
    """Remove the lock and the folders that were made for a bake that was refused before it wrote anything else."""
    if {path.name for path in folder.iterdir()} <= {_LOCK, STATE}:
        for name in (_LOCK, STATE):
            (folder / name).unlink(missing_ok=True)
        with suppress(OSError):  # somebody has put something there
            for path in made:
                path.rmdir()
