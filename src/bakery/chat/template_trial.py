"""A script that renders the chat template on its standard input under limits; `template_bounds` runs it as a child.

It imports nothing but jinja2, so that it starts in a tenth of a second, and sets up jinja2 as transformers does
(`transformers.utils.chat_template_utils`). That the template refuses a conversation is no matter here.
"""

import json
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

try:
    import resource
except ImportError:  # Windows, where the parent's clock is the only limit
    resource = None  # type: ignore[assignment]

SECONDS = 5
MAX_BYTES = 2**29
MAX_CHARACTERS = 32_000_000
TOO_LONG, NO_MEMORY = 3, 4
"""Exit codes."""

_REFUSALS = (jinja2.TemplateError, ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError,
             TypeError, ValueError)  # fmt: skip


class _Generation(Extension):
    """`{% generation %}` marks what an assistant says; it writes nothing of its own."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Any) -> Any:
        """The statements between the tags."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


def _to_json(value: Any, **options: Any) -> str:
    return json.dumps(value, **{"ensure_ascii": False, **options})


def environment() -> ImmutableSandboxedEnvironment:
    """The sandbox that transformers renders chat templates in."""
    sandbox = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    sandbox.filters["tojson"] = _to_json
    sandbox.globals["raise_exception"] = _raise_exception
    sandbox.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return sandbox


def conversations() -> Iterator[dict[str, Any]]:
    """Variables of a template: long contents, many turns, a system message, tools; with and without prompt."""
    words = "The tide turns at noon; the harbour is open. " * 45
    turns = [{"role": role, "content": words} for _ in range(8) for role in ("user", "assistant")]
    system = {"role": "system", "content": words}
    function = {"name": "tide", "description": words, "parameters": {"type": "object", "properties": {}}}
    call = {"id": "call00001", "type": "function", "function": {"name": "tide", "arguments": {"at": "noon"}}}
    called = [
        turns[0],
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "name": "tide", "tool_call_id": "call00001", "content": words},
        turns[1],
    ]
    for messages in (turns[:1], turns, [system, *turns]):
        for prompt in (False, True):
            yield {"messages": messages, "add_generation_prompt": prompt}
    tools = [{"type": "function", "function": function}]
    yield {"messages": called, "add_generation_prompt": False, "tools": tools}


def exit_code(source: str) -> int:
    """Render every canned conversation: 0, or `TOO_LONG` as soon as one is longer than `MAX_CHARACTERS`.

    Raises:
        MemoryError: the template wants more than there is.
    """
    try:
        template = environment().from_string(source)
    except _REFUSALS:
        return 0
    for variables in conversations():
        written = 0
        try:
            for piece in template.generate(bos_token="<s>", eos_token="</s>", **variables):
                written += len(piece)
                if written > MAX_CHARACTERS:
                    return TOO_LONG
        except _REFUSALS:
            continue
    return 0


def main() -> int:
    """Set the limits, where the system has them, and try the template."""
    source = sys.stdin.buffer.read().decode()
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
        resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES, MAX_BYTES))
    try:
        return exit_code(source)
    except MemoryError:
        return NO_MEMORY


if __name__ == "__main__":
    sys.exit(main())
