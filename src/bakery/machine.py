"""What makes this process faster on its machine and changes no number."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def keep_freed_memory() -> bool:
    """Let the C library keep the memory that tensors free, for the next ones, instead of handing it back each time.

    On the CPU a training step frees and asks for the same large blocks again and again; the kernel clears each one
    anew. Holds for the whole process, on Linux with glibc only.

    Returns:
        whether it was done.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        return False
    return bool(library.mallopt(_M_MMAP_MAX, 0) and library.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
