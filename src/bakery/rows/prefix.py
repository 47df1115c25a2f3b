"""The configured prefix, from whichever setting gives it: messages, a file of them, or a knowledge file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakery.errors import ConfigError, DataError
from bakery.settings.checks import refuse, retained_problems
from bakery.settings.documents import parse_json, read_document
from bakery.settings.files import read_text
from bakery.settings.messages import check_messages
from bakery.text import describe

if TYPE_CHECKING:
    from bakery.settings.config import ContextConfig, DataConfig

DEFAULT_TEMPLATE = "You know the following by heart. Answer from it, briefly and exactly.\n\n{corpus}"


def load_prefix(context: ContextConfig, data: DataConfig | None = None) -> tuple[dict[str, Any], ...] | None:
    """Return the configured prefix messages, or None when there are none (rows may bring their own).

    Raises:
        ConfigError: a prefix file is missing or malformed, or the student would retain the whole prefix.
        DataError: the knowledge file is missing or malformed.
    """
    if context.prefix_messages is not None:
        prefix = list(context.prefix_messages)
    elif context.prefix_messages_file is not None:
        prefix = load_prefix_messages(context.prefix_messages_file)
    elif context.system_prompt_file is not None:
        prefix = [_system(_prompt(context.system_prompt_file))]
    elif data is not None and data.corpus_file is not None:
        corpus = load_corpus(data.corpus_file, data.corpus_format)
        prefix = [_system((data.system_prompt_template or DEFAULT_TEMPLATE).replace("{corpus}", corpus))]
    else:
        return None
    refuse(retained_problems(len(prefix), context.student_retained_turns))
    return tuple(prefix)


def _system(text: str) -> dict[str, Any]:
    return {"role": "system", "content": text}


def _prompt(path: str) -> str:
    text = read_text(path, ConfigError).strip()
    if not text:
        raise ConfigError(f"{path}: is empty, so there is nothing to bake; write the prompt")
    return text


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


def load_corpus(path: str, kind: str) -> str:
    """Read a knowledge file as one text.

    Args:
        path: `.json` for papers, list and custom; text may also be any text file.
        kind: papers | text | list | custom.

    Raises:
        DataError: the file is missing or malformed, or is not of that kind.
    """
    text = read_text(path, DataError)
    if not text.strip():
        raise DataError(f"{path}: is empty")
    is_json = Path(path).suffix.lower() == ".json"
    if kind == "text" and not is_json:
        return text.strip()
    if not is_json:
        raise DataError(f"{path}: corpus_format: {kind} needs a .json file; for plain text use corpus_format: text")
    value = parse_json(text, path, DataError).value
    if kind == "papers":
        return "\n\n".join(_papers(value, path))
    if kind == "list":
        return "\n\n".join(_texts(value, path))
    if kind == "text":
        content = value.get("text") if isinstance(value, Mapping) else value
        if not isinstance(content, str) or not content.strip():
            raise DataError(f"{path}: must hold a text, or an object with the key text, got {describe(value)}")
        return content.strip()
    return json.dumps(value, indent=2, ensure_ascii=False)


def _items(value: Any, path: str, what: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise DataError(f"{path}: must be a list of {what}, got {describe(value)}; or choose another corpus_format")
    return value


def _papers(value: Any, path: str) -> Iterator[str]:
    for number, paper in enumerate(_items(value, path, "{title, abstract}"), 1):
        fields = paper if isinstance(paper, Mapping) else {}
        yield "\n".join(_text(fields.get(key), f"{path} row {number}: {key}") for key in ("title", "abstract"))


def _texts(value: Any, path: str) -> Iterator[str]:
    for number, item in enumerate(_items(value, path, "texts"), 1):
        yield _text(item, f"{path} row {number}")


def _text(value: Any, location: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{location}: must be a text, got {describe(value)}")
    return value.strip()
