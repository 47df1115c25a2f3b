"""A script that renders chat templates under limits; `template_bounds` runs it as a child process.

A request on its standard input is a length of four bytes and so many of `marshal`: a template by its number (with its
source the first time), a conversation and variables. The answer is a length and so many bytes: a letter that says what
it is, and text in UTF-8. transformers itself does the rendering. Importing it takes half a second, without torch.

    T   what the template writes
    J   anything else, as JSON (see `answer`)
"""

import json
import marshal
import struct
import sys
import time
from typing import Any, BinaryIO

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


LENGTH = struct.Struct(">I")


def read_block(stream: BinaryIO) -> bytes | None:
    """The next block that somebody wrote; None at the end."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    block = stream.read(size := LENGTH.unpack(head)[0])
    return block if len(block) == size else None


def write_block(stream: BinaryIO, block: bytes) -> None:
    """Write a block that `read_block` reads."""
    stream.write(LENGTH.pack(len(block)) + block)
    stream.flush()


def answer(template: str, messages: list[Any], variables: dict[str, Any]) -> str | dict[str, Any]:
    """Render a conversation.

    Returns:
        What the template writes; or a mapping with `refused`, why it refuses the conversation; or `syntax` and `line`,
        why it is no template; or `length`, the characters of a text that is too long to be sent.
    """
    try:
        (text,), _ = render_jinja_template([messages], chat_template=template, **variables)
    except jinja2.TemplateSyntaxError as error:
        return {"syntax": error.message, "line": error.lineno}
    except REFUSALS as error:
        return {"refused": str(error) or type(error).__name__}
    return str(text) if len(text) <= MAX_CHARACTERS else {"length": len(text)}


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
    templates: dict[int, str] = {}
    while (block := read_block(sys.stdin.buffer)) is not None:
        if resource is not None:
            allowed = min(allowed, time.process_time() + SECONDS) + SECONDS_EACH + SECONDS_PER_CHARACTER * len(block)
            resource.setrlimit(resource.RLIMIT_CPU, (int(allowed) + 1, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        try:
            number, source, messages, variables = marshal.loads(block)
            if source is not None:
                templates[number] = source
            said = answer(templates[number], messages, variables)
        except MemoryError:
            said = {"memory": MAX_BYTES}
        kind, text = ("T", said) if isinstance(said, str) else ("J", json.dumps(said))
        write_block(sys.stdout.buffer, f"{kind}{text}".encode(errors="surrogatepass"))


if __name__ == "__main__":
    main()
