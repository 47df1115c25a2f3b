"""The configured prefix, from whichever setting gives it: messages, a file of them, or all of a document."""

from collections.abc import Mapping
from typing import Any

from bakery.errors import ConfigError
from bakery.rows.document import Document
from bakery.rows.tools import TOOLS, with_tools
from bakery.settings.checks import refuse, retained_problems
from bakery.settings.config import ContextConfig
from bakery.settings.documents import read_document
from bakery.settings.files import read_text
from bakery.settings.messages import check_messages
from bakery.settings.tools import tools_problem


def load_prefix(context: ContextConfig, document: Document | None = None) -> tuple[dict[str, Any], ...] | None:
    """Return the configured prefix messages, or None when there are none (rows may bring their own).

    Raises:
        ConfigError: a prefix file is missing or malformed, or the student would retain the whole prefix.
    """
    if context.prefix_messages is not None:
        prefix = list(context.prefix_messages)
    elif context.prefix_messages_file is not None:
        prefix = load_prefix_messages(context.prefix_messages_file)
    elif context.system_prompt_file is not None:
        empty = "is empty, so there is nothing to bake; write the prompt"
        prefix = [_system(read_text(context.system_prompt_file, ConfigError, if_empty=empty).strip())]
    elif document is not None:
        prefix = list(document.prefix_of(document.text))
    else:
        return None
    refuse(retained_problems(len(prefix), context.student_retained_turns))
    return tuple(prefix)


def _system(text: str) -> dict[str, Any]:
    return {"role": "system", "content": text}


def load_prefix_messages(path: str) -> list[dict[str, Any]]:
    """Read prefix messages from YAML or JSON: a list, or a mapping with the list as `prefix_messages` or `messages`.

    The mapping may hold `tools` too: JSON schemas that the teacher sees and the student does not.

    Raises:
        ConfigError: the file is missing or malformed, or holds no messages.
    """
    value, tools = read_document(path).value, ()
    if isinstance(value, Mapping) and set(value) - {TOOLS} in ({"prefix_messages"}, {"messages"}):
        tools = value.get(TOOLS) or ()
        value = next(item for key, item in value.items() if key != TOOLS)
    if problem := tools_problem(tools):
        raise ConfigError(f"{path}: {TOOLS}: {problem}")
    check_messages(value, path, ConfigError)
    if not value and not tools:
        raise ConfigError(f"{path}: an empty list, so there is nothing to bake; add a message")
    return with_tools(value, tools)
