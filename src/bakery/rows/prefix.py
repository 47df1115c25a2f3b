"""The configured prefix, from whichever setting gives it: messages, a file of them, or a knowledge file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bakery.errors import ConfigError, DataError
from bakery.settings.checks import refuse, retained_problems
from bakery.settings.config import ContextConfig, DataConfig
from bakery.settings.documents import parse_json, read_document
from bakery.settings.files import read_text
from bakery.settings.messages import check_messages
from bakery.text import describe

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
        empty = "is empty, so there is nothing to bake; write the prompt"
        prefix = [_system(read_text(context.system_prompt_file, ConfigError, if_empty=empty).strip())]
    elif data is not None and data.corpus_file is not None:
        corpus = load_corpus(data.corpus_file, data.corpus_format)
        prefix = [_system((data.system_prompt_template or DEFAULT_TEMPLATE).replace("{corpus}", corpus))]
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


def load_corpus(path: str, kind: str) -> str:
    """Read a knowledge file as one text; `kind`: papers, list or custom (a `.json` file), or text (any text file).

    Raises:
        DataError: the file is missing or malformed, or is not of that kind.
    """
    text = read_text(path, DataError)
    is_json = Path(path).suffix.lower() == ".json"
    if kind == "text" and not is_json:
        return text.strip()
    if not is_json:
        raise DataError(f"{path}: corpus_format: {kind} needs a .json file; for plain text use corpus_format: text")
    value = parse_json(text, path, DataError).value
    if kind in ("papers", "list"):
        if not isinstance(value, list) or not value:
            what = "{title, abstract}" if kind == "papers" else "texts"
            raise DataError(f"{path}: must be a list of {what}, got {describe(value)}; or choose another corpus_format")
        return "\n\n".join(_item(item, kind, f"{path} row {number}") for number, item in enumerate(value, 1))
    if kind == "text":
        content = value.get("text") if isinstance(value, Mapping) else value
        if not isinstance(content, str) or not content.strip():
            raise DataError(f"{path}: must hold a text, or an object with the key text, got {describe(value)}")
        return content.strip()
    return json.dumps(value, indent=2, ensure_ascii=False)


def _item(value: Any, kind: str, location: str) -> str:
    if kind == "list":
        return _text(value, location)
    paper = value if isinstance(value, Mapping) else {}
    return "\n".join(_text(paper.get(key), f"{location}: {key}") for key in ("title", "abstract"))


def _text(value: Any, location: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{location}: must be a text, got {describe(value)}")
    return value.strip()
