"""Bounds on foreign chat templates: each is rendered in a process of its own, limited in time, memory and output.

A chat template is code from a stranger, and what it does may depend on any word of a conversation. So it never runs in
this process: one child renders whatever is asked for, for as long as this process lives. A template that exceeds a
limit ends the child, and is refused from then on.
"""

import atexit
import json
import marshal
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from bakery.chat import template_child
from bakery.chat.template_child import read_block, write_block
from bakery.errors import TemplateError
from bakery.text import SECRET_NAME, excerpt

WALL_SECONDS = 60.0
"""Where the system cannot limit processor time, a rendering is given up after this long."""


def check_template_source(source: str) -> None:
    """Refuse what is not a template, or what exceeds the limits without a conversation.

    Raises:
        TemplateError: see `render_bounded`.
    """
    with suppress(jinja2.TemplateError):  # that it refuses to be without messages is no matter
        render_bounded(source, [], {})


def render_bounded(source: str, messages: Sequence[Mapping[str, Any]], variables: Mapping[str, Any]) -> str:
    """What transformers makes of a template, a conversation and variables (`add_generation_prompt`, `tools`, ...).

    Raises:
        jinja2.TemplateError: the template refuses the conversation.
        TemplateError: it is not a template; or it takes more than 1 s of processor time (or 0.05 s in each of
            many renderings), wants more than 512 MB of memory, or writes more than 32 million characters; or it has
            done so before.
    """
    return _process(os.getpid()).render(source, list(messages), dict(variables))


class _TemplateProcess:
    """The child process that renders, started when it is needed; one request at a time, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._numbers: dict[str, int] = {}  # of the templates that this child knows
        self._refused: dict[str, str] = {}
        atexit.register(self.close)

    def render(self, source: str, messages: list[Any], variables: dict[str, Any]) -> str:
        """See `render_bounded`."""
        with self._lock:
            if source in self._refused:
                raise TemplateError(self._refused[source])
            said = self._ask(source, messages, variables)
            if isinstance(said, str):
                return said
            if "refused" in said:
                raise jinja2.TemplateError(said["refused"])
            if "memory" in said:
                self.close()
            self._refused[source] = _exceeded(said)
            raise TemplateError(self._refused[source])

    def _ask(self, source: str, messages: list[Any], variables: dict[str, Any]) -> str | Mapping[str, Any]:
        """The child's answer; or, where it has none, how it ended."""
        if self._child is None:
            self._child, self._numbers = _start(), {}
        child, said = self._child, None
        is_new = source not in self._numbers
        number = self._numbers.setdefault(source, len(self._numbers))
        try:
            with suppress(BrokenPipeError), _wall_limit(child):
                request = _plain(number, source if is_new else None, messages, variables)
                write_block(child.stdin, request)  # type: ignore[arg-type]
                said = read_block(child.stdout)  # type: ignore[arg-type]
        finally:
            if said is None:  # it has ended, or somebody interrupts this process, and it would answer late
                self._child = None
                child.kill()
                _, errors = child.communicate()
        if said is None:
            return {"ended": child.returncode, "errors": errors.decode("ascii", "replace")}
        kind, text = said[:1], said[1:].decode(errors="surrogatepass")
        answer: str | Mapping[str, Any] = text if kind == b"T" else json.loads(text)
        return answer

    def close(self) -> None:
        """Let the child end."""
        child, self._child = self._child, None
        if child is not None:
            child.communicate()


@cache
def _process(pid: int) -> _TemplateProcess:
    """The child of this process; a fork of it needs a child of its own."""
    return _TemplateProcess()


def _start() -> subprocess.Popen[bytes]:
    """Start the child, without the secrets of the environment and apart from the terminal's Ctrl-C."""
    environment = {name: value for name, value in os.environ.items() if not SECRET_NAME.search(name)}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")  # each takes of the address space
    try:
        return subprocess.Popen(
            [sys.executable, "-P", str(Path(template_child.__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment | threads,
            start_new_session=True,
        )
    except OSError as error:
        raise TemplateError(f"no process can be started to render the chat template in: {error}; run again") from error


@contextmanager
def _wall_limit(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """End the child in time where it cannot limit itself; elsewhere a thread would cost too much."""
    if template_child.LIMITS_ITSELF:
        yield
        return
    timer = threading.Timer(WALL_SECONDS, child.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _plain(*request: Any) -> bytes:
    """A request as bytes; what is no plain value is sent as what JSON makes of it."""
    try:
        return marshal.dumps(request)
    except ValueError:
        return marshal.dumps(json.loads(json.dumps(request, default=_placeholder)))


def _placeholder(value: Any) -> str:
    """What a template is shown of a value that JSON does not have; transformers does the same."""
    return f"<{type(value).__name__}>"


def _exceeded(said: Mapping[str, Any]) -> str:
    if "syntax" in said:
        return f"line {said['line']} of the chat template is not valid: {excerpt(said['syntax'], 160)}"
    if "length" in said:
        return (
            f"the chat template writes {said['length']:,} characters, more than the {template_child.MAX_CHARACTERS:,} "
            "allowed; look for a runaway loop in it, or a wrong file in the data"
        )
    if "memory" in said:
        return (
            f"the chat template wants more than {said['memory'] >> 20} MB of memory for a conversation; look for texts "
            "that it repeats or pads"
        )
    if said["ended"] in (-getattr(signal, "SIGXCPU", 0), -getattr(signal, "SIGKILL", 0)):
        limit = f"{template_child.SECONDS} s"
        return f"the chat template does not end within {limit}; look for an endless loop in it"
    reason = excerpt(said["errors"].strip().rpartition("\n")[2], 160)
    return f"the chat template ends the process that renders it ({said['ended']}): {reason}; look into it"
