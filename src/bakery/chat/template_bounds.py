"""Bounds on foreign templates: how long they may run, and what they may contain."""

import ctypes
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import jinja2

from bakery.errors import TemplateError

LARGEST_INTEGER = 10_000_000


@lru_cache
def check_source(source: str) -> None:
    """Refuse a template whose text alone shows that it cannot be run in bounded time.

    Powers and huge numbers are worked out inside one machine operation that nothing can interrupt, some of them
    while the template is still being compiled.

    Raises:
        TemplateError: not a template, or one with `**` or an integer above ten million.
    """
    try:
        for line, kind, value in jinja2.Environment().lex(source):
            if kind == "operator" and value == "**":
                raise TemplateError(
                    f"line {line} of the chat template takes a power (**), which no chat needs; remove it"
                )
            if kind == "integer" and int(value.replace("_", ""), 0) > LARGEST_INTEGER:
                raise TemplateError(
                    f"line {line} of the chat template has the number {value}, above {LARGEST_INTEGER:,}; remove it"
                )
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(f"line {error.lineno} of the chat template is not valid: {error.message}") from None


class _Expired(BaseException):
    """Raised inside a template that runs too long; not an Exception, so that no foreign code swallows it."""


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Raise `error` in a running thread between two of its Python operations; None takes a pending one back."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), error and ctypes.py_object(error))


class _Watchdog:
    """One sleeping thread that interrupts whichever guarded thread is over its time. Arming it costs microseconds."""

    def __init__(self, tick: float = 0.25) -> None:
        self._tick = tick
        self._deadlines: dict[int, float] = {}
        self._lock = threading.Lock()
        self._busy = threading.Event()
        self._thread: threading.Thread | None = None

    def arm(self, seconds: float) -> None:
        self._deadlines[threading.get_ident()] = time.monotonic() + seconds
        if self._thread is None or not self._thread.is_alive():  # not started yet, or lost in a fork
            self._lock = threading.Lock()
            self._thread = threading.Thread(target=self._watch, name="template-watchdog", daemon=True)
            self._thread.start()
        if not self._busy.is_set():
            self._busy.set()

    def disarm(self) -> None:
        thread = threading.get_ident()
        with self._lock:
            if self._deadlines.pop(thread, 0.0) == math.inf:
                _raise_in(thread, None)

    def _watch(self) -> None:
        while True:
            self._busy.wait()
            time.sleep(self._tick)
            with self._lock:
                self._busy.clear()
                if self._deadlines:
                    self._busy.set()
                for thread, deadline in list(self._deadlines.items()):
                    if deadline < time.monotonic():
                        self._deadlines[thread] = math.inf  # fired
                        _raise_in(thread, _Expired)


_watchdog = _Watchdog()


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Interrupt Python code of this thread that runs longer than `seconds` (to about a quarter of a second).

    Works in every thread and on every system, between two Python operations; not nested.

    Raises:
        TimeoutError: the time is over.
    """
    try:
        _watchdog.arm(seconds)
        try:
            yield
        finally:
            _watchdog.disarm()
    except _Expired:
        _watchdog.disarm()
        raise TimeoutError from None
