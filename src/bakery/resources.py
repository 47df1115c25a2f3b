"""Disks that are full and memory that is used up: what libraries raise then, told in one line. Torch-free.

with resources_told("outputs/pirate", saved_bytes=5_000_000):
    trainer.train()
"""

import errno
import shutil
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from bakery.errors import ResourceError
from bakery.text import excerpt, size

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# safetensors and tokenizers repeat what the system said; torch says where its writer stopped.
_FULL_WORDS = ("No space left on device", "Disk quota exceeded", "File too large", "PytorchStreamWriter",
               "unexpected pos")  # fmt: skip
_MEMORY_WORDS = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc", "Cannot allocate memory")
_REMEDY = (
    "lower token_budget, num_trajectories or per_device_train_batch_size, shorten the prompt, or set "
    "activation_checkpointing: true, load_in_4bit: true or torch_dtype: bfloat16"
)


class resources_told:
    """Within it, a full disk and used-up memory are a `ResourceError`.

    Args:
        folder: what is written to, for what names no file.
        saved_bytes: of one save there; 0 where nobody knows.
    """

    def __init__(self, folder: str | Path | None = None, saved_bytes: int = 0) -> None:
        self._folder, self._saved_bytes = Path(folder or "."), saved_bytes

    def __enter__(self) -> None:
        """Nothing is done before."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Turn the error into one that tells what is lacking.

        Raises:
            ResourceError: a disk is full, or memory is used up.
        """
        if error is None or isinstance(error, ResourceError) or not isinstance(error, Exception):
            return
        if _is_full_disk(error):
            raise ResourceError(self._full(error)) from error
        if is_out_of_memory(error):
            most = size(peak_bytes())
            raise ResourceError(f"the memory is used up: at most {most} were in use; {_REMEDY}") from error

    def _full(self, error: Exception) -> str:
        named = getattr(error, "filename", None)
        path = Path(str(named)) if named else self._folder
        needed = f", and a save there takes about {size(self._saved_bytes)}" if self._saved_bytes else ""
        free = size(free_bytes(path))
        remedy = "make room, and the same command goes on, or choose another output_dir"
        return f"{excerpt(str(path), 200)}: the disk is full: {free} are free{needed}; {remedy}"


def check_room(folder: str | Path, needed: int, what: str) -> None:
    """Refuse to begin where the disk has no room for what is to be written.

    Raises:
        ResourceError: it has not.
    """
    free = free_bytes(Path(folder))
    if free < needed:
        raise ResourceError(
            f"output_dir: {folder} has room for {size(free)}, and {what} take about {size(needed)}; make room, "
            "choose another folder, or set save_total_limit: 1 or save_strategy: no"
        )


def free_bytes(path: Path) -> int:
    """Bytes that are free on the disk of a path, whether or not it exists."""
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    return shutil.disk_usage(existing).free


def peak_bytes() -> int:
    """The most memory that this process has used: of the accelerator where one is used, else of the machine."""
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        return int(torch.cuda.max_memory_allocated())
    import resource  # which not every system has

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def is_out_of_memory(error: Exception) -> bool:
    """Whether this is what Python or torch raise where memory is used up."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in _MEMORY_WORDS)


def _is_full_disk(error: Exception) -> bool:
    return getattr(error, "errno", None) in _FULL or any(words in str(error) for words in _FULL_WORDS)
