"""The configured prefix, from whichever setting gives it: messages, a file of them, or a knowledge file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakery.errors import ConfigError, DataError
from bakery.settings.checks import check_messages, check_retained, show
from bakery.settings.documents import parse_json, read_document, read_text

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
        found = list(context.prefix_messages)
    elif context.prefix_messages_file is not None:
        found = load_prefix_messages(context.prefix_messages_file)
    elif context.system_prompt_file is not None:
        found = [_system(_prompt(context.system_prompt_file))]
    elif data is not None and data.corpus_file is not None:
        corpus = load_corpus(data.corpus_file, data.corpus_format)
        found = [_system((data.system_prompt_template or DEFAULT_TEMPLATE).replace("{corpus}", corpus))]
    else:
        return None
    check_retained(len(found), context.student_retained_turns)
    return tuple(found)


def _system(text: str) -> dict[str, Any]:
    return {"role": "system", "content": text}


def _prompt(path: str) -> str:
    text = read_text(Path(path).expanduser(), ConfigError).strip()
    if not text:
        raise ConfigError(f"{path}: is empty, so there is nothing to bake; write the prompt")
    return text


def load_prefix_messages(path: str) -> list[dict[str, Any]]:
    """Read prefix messages from YAML or JSON: a list, or a mapping that holds the list as `prefix_messages`.

    Raises:
        ConfigError: the file is missing or malformed, or holds no messages.
    """
    value = read_document(Path(path).expanduser(), ConfigError).value
    if isinstance(value, Mapping) and set(value) in ({"prefix_messages"}, {"messages"}):
        (value,) = value.values()
    check_messages(value, path)
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
    text = read_text(Path(path).expanduser(), DataError)
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
        held = value.get("text") if isinstance(value, Mapping) else value
        if not isinstance(held, str) or not held.strip():
            raise DataError(f"{path}: must hold a text, or an object with the key text, got {show(value)}")
        return held.strip()
    return json.dumps(value, indent=2, ensure_ascii=False)


def _items(value: Any, path: str, what: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise DataError(f"{path}: must be a list of {what}, got {show(value)}; or choose another corpus_format")
    return value


def _papers(value: Any, path: str) -> list[str]:
    found = []
    for number, paper in enumerate(_items(value, path, "{title, abstract}"), 1):
        for key in ("title", "abstract"):
            held = paper.get(key) if isinstance(paper, Mapping) else None
            if not isinstance(held, str) or not held.strip():
                raise DataError(f"{path} row {number}: {key}: must be a text, got {show(held)}")
        found.append(f"{paper['title'].strip()}\n{paper['abstract'].strip()}")
    return found


def _texts(value: Any, path: str) -> list[str]:
    for number, item in enumerate(_items(value, path, "texts"), 1):
        if not isinstance(item, str) or not item.strip():
            raise DataError(f"{path} row {number}: must be a text, got {show(item)}")
    return [item.strip() for item in value]
