"""Child processes that do not outlive this one, however it ends: not even after SIGKILL, which no program can handle.

The child leads a process group of its own. Before its program begins, it leaves a watchdog behind: a process of another
session that waits at a pipe of which this process alone has the other end. When the pipe closes without a word, this
process has ended without its cleaning up, and the watchdog ends the whole group. This module is the script as well that
does so, with the interpreter's own modules alone:

    python child_process.py DESCRIPTOR PROGRAM [word of the program ...]
"""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

GRACE_SECONDS = 5.0
"""How long a group whose starter was killed may take to end by itself."""
_PAUSE_SECONDS = 0.1


@contextmanager
def child_process(command: Sequence[str], **options: Any) -> Iterator["subprocess.Popen[Any]"]:
    """A child process for the length of the block, with whatever it starts; it has no standard input.

    Its process id is that of the program and of its group. On Windows it is ended with the block alone.

    Args:
        command: the program and its arguments.
        options: further ones of `subprocess.Popen`.

    Raises:
        OSError: there is no such program.
    """
    if shutil.which(command[0]) is None:
        raise FileNotFoundError(errno.ENOENT, "there is no such program", command[0])
    with _watchdog() as (script, descriptors):
        process: subprocess.Popen[Any] = subprocess.Popen(
            [*script, *command], stdin=subprocess.DEVNULL, start_new_session=True, pass_fds=descriptors, **options
        )
        try:
            yield process
        finally:
            kill_group(process)


def kill_group(process: "subprocess.Popen[Any]") -> None:
    """Kill a child and whatever it started, at once."""
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def is_group_alive(group: int) -> bool:
    """Whether a process of this group is there."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def _watchdog() -> Iterator[tuple[list[str], tuple[int, ...]]]:
    """The words before a command that is to be watched, and the descriptors that it needs."""
    if sys.platform == "win32":
        yield [], ()
        return
    reading, writing = os.pipe()
    try:
        yield [sys.executable, "-I", "-S", __file__, str(reading)], (reading,)
    finally:
        os.write(writing, b".")
        os.close(reading)
        os.close(writing)


def _end_when_closed(descriptor: int, group: int) -> None:
    """End a group when the pipe closes without a word."""
    if os.read(descriptor, 1):
        return
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        while is_group_alive(group) and time.monotonic() < deadline:
            time.sleep(_PAUSE_SECONDS)
        os.killpg(group, signal.SIGKILL)


def _leave_watchdog(descriptor: int) -> None:
    """Start the watchdog of this process, which is no child of it: a program may wait for all its children."""
    group, child = os.getpid(), os.fork()
    if child:
        os.waitpid(child, 0)
        os.close(descriptor)
        return
    os.setsid()
    if os.fork() == 0:
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        _end_when_closed(descriptor, group)
    os._exit(0)


def _run(descriptor: int, command: list[str]) -> None:
    """Become the program, with the signals as a program expects them."""
    _leave_watchdog(descriptor)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]}: cannot be run: {error.strerror}")


if __name__ == "__main__":
    _run(int(sys.argv[1]), sys.argv[2:])
