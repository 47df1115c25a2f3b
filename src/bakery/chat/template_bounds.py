"""Bounds on foreign chat templates: what their source may hold, and a trial run in a process of its own.

A chat template is code from a stranger. Before one is rendered here, its source is checked for operations that cannot
be interrupted, and it renders a few canned conversations in a child process with limits on time, memory and output.
Not covered: a template that misbehaves for certain rows or variables only. It can still take long, and is then
stopped by hand; what it writes is bounded by `MAX_CHARACTERS`.
"""

import signal
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import jinja2

from bakery.chat import template_trial
from bakery.errors import TemplateError
from bakery.text import excerpt

LARGEST_INTEGER = 10_000_000
WALL_SECONDS = 60.0
"""A trial that waits this long for its five seconds of processor time is given up."""


@lru_cache
def check_template_source(source: str) -> None:
    """Refuse a template that cannot be run in bounded time, memory and output; the answer is remembered by source.

    Raises:
        TemplateError: not a template; one with `**` or an integer above ten million; or its trial run did not end
            within 5 s of processor time, wanted more than 512 MB of memory or wrote more than 32 million characters.
    """
    _check_operations(source)
    _try(source)


def _check_operations(source: str) -> None:
    """Powers and huge numbers are worked out inside one machine operation that nothing can interrupt."""
    try:
        for line, kind, value in jinja2.Environment().lex(source):
            if kind == "operator" and value == "**":
                raise TemplateError(
                    f"line {line} of the chat template takes a power (**), which no chat needs; remove it"
                )
            if kind == "integer" and (len(value) > 100 or int(value.replace("_", ""), 0) > LARGEST_INTEGER):
                raise TemplateError(
                    f"line {line} of the chat template has the number {excerpt(value)}, above {LARGEST_INTEGER:,}; "
                    "remove it"
                )
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(f"line {error.lineno} of the chat template is not valid: {error.message}") from None


def _try(source: str) -> None:
    command = [sys.executable, "-P", str(Path(template_trial.__file__))]
    try:
        trial = subprocess.run(command, input=source.encode(), capture_output=True, timeout=WALL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise TemplateError(_too_slow(f"{WALL_SECONDS:g} s")) from None
    except (OSError, ValueError) as error:
        raise TemplateError(f"the chat template cannot be tried in a process of its own: {error}; run again") from None
    if trial.returncode == 0:
        return
    if trial.returncode == -getattr(signal, "SIGXCPU", 0):
        raise TemplateError(_too_slow(f"{template_trial.SECONDS} s"))
    if trial.returncode == template_trial.TOO_LONG:
        raise TemplateError(
            f"the chat template writes more than the {template_trial.MAX_CHARACTERS:,} characters allowed; "
            "look for a runaway loop in it"
        )
    if trial.returncode == template_trial.NO_MEMORY:
        raise TemplateError(
            f"the chat template wants more than {template_trial.MAX_BYTES >> 20} MB of memory for a short "
            "conversation; look for texts that it repeats or pads"
        )
    said = excerpt(trial.stderr.decode(errors="replace").strip().rpartition("\n")[2], 160)
    raise TemplateError(f"the chat template ends the process that tries it ({trial.returncode}): {said}; look into it")


def _too_slow(limit: str) -> str:
    return f"the chat template does not end within {limit}; look for an endless loop in it"
