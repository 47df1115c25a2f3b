"""A script that renders chat templates under limits; `template_bounds` runs it as a child process.

A line of JSON on its standard input names a template, a conversation and variables; the answer is a line of JSON.
transformers itself does the rendering. Importing it takes half a second, without torch.
"""

import json
import sys
import time
from typing import Any

import jinja2
from transformers.utils.chat_template_utils import render_jinja_template

try:
    import resource
except ImportError:  # Windows, where the parent's clock is the only limit
    resource = None  # type: ignore[assignment]

LIMITS_ITSELF = resource is not None
SECONDS = 1
"""Processor time that one rendering may take beyond its share; what it takes of this, later ones lack."""
SECONDS_EACH, SECONDS_PER_CHARACTER = 0.05, 1e-6
"""The share of every rendering, and of every character that it is asked with."""
MAX_BYTES = 2**29
MAX_CHARACTERS = 32_000_000

REFUSALS = (jinja2.TemplateError, ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError,
            TypeError, ValueError)  # fmt: skip
"""What a template raises that refuses a conversation."""


def answer(line: str) -> dict[str, Any]:
    """Render what a line asks for.

    Returns:
        `text`, what the template writes; or `refused`, why it refuses the conversation; or `syntax` and `line`, why it
        is no template; or `length`, the characters of a text that is too long to be sent.
    """
    request = json.loads(line)
    try:
        (text,), _ = render_jinja_template(
            [request["messages"]], chat_template=request["template"], **request["variables"]
        )
    except jinja2.TemplateSyntaxError as error:
        return {"syntax": error.message, "line": error.lineno}
    except REFUSALS as error:
        return {"refused": str(error) or type(error).__name__}
    return {"text": text} if len(text) <= MAX_CHARACTERS else {"length": len(text)}


def _virtual_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def main() -> None:
    """Answer line by line until the input ends."""
    allowed = 0.0
    if resource is not None:
        own = _virtual_bytes() if sys.platform == "linux" else 0
        resource.setrlimit(resource.RLIMIT_AS, (own + MAX_BYTES, own + MAX_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        allowed = time.process_time() + SECONDS
    for line in sys.stdin:
        if resource is not None:
            allowed = min(allowed, time.process_time() + SECONDS) + SECONDS_EACH + SECONDS_PER_CHARACTER * len(line)
            resource.setrlimit(resource.RLIMIT_CPU, (int(allowed) + 1, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        try:
            said = answer(line)
        except MemoryError:
            said = {"memory": MAX_BYTES}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
