"""The configured prefix, from whichever setting gives it: messages, a file of them, or all of a document."""

from collections.abc import Mapping
from typing import Any

from bakery.errors import ConfigError
from bakery.rows.document import Document
from bakery.settings.checks import refuse, retained_problems
from bakery.settings.config import ContextConfig
from bakery.settings.documents import read_document
from bakery.settings.files import read_text
from bakery.settings.messages import check_messages


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
    """Read prefix messages from YAML or JSON: a list, or a mapping that holds the list as `prefix_messages`.

    Raises:
        ConfigError: the file is missing or malformed, or holds no messages.
    """
    value = read_document(path).value
    if isinstance(value, Mapping) and set(value) in ({"prefix_messages"}, {"messages"}):
        (value,) = value.values()
    check_messages(value, path, ConfigError)
    if not value:
        raise ConfigError(f"{path}: an empty list, so there is nothing to bake; add a message")
    return list(value)
