"""What llama.cpp calls the pre-tokenizers that it has, by how a tokenizer.json describes them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_ENGLISH_ENDINGS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_AFTER_NUMBERS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_NAMES = {
    _ENGLISH_ENDINGS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + _AFTER_NUMBERS: "qwen2",
    _ENGLISH_ENDINGS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + _AFTER_NUMBERS: "llama-bpe",
}
"""By regular expression."""
_BYTE_LEVEL = "gpt-2"


def pre_tokenizer_name(folder: Path) -> str | None:
    """llama.cpp's name of the pre-tokenizer in a model's folder; None where it has none or this table does not tell."""
    try:
        described = json.loads((folder / "tokenizer.json").read_text("utf-8"))["pre_tokenizer"]
    except (OSError, ValueError, KeyError):
        return None
    match list(_parts(described)):
        case [{"type": "Split", "pattern": {"Regex": pattern}}, {"type": "ByteLevel", "use_regex": False}]:
            return _NAMES.get(pattern)
        case [{"type": "ByteLevel", "use_regex": True, "add_prefix_space": False}]:
            return _BYTE_LEVEL
    return None


def _parts(described: Any) -> Iterator[dict[str, Any]]:
    """The steps of a pre-tokenizer, one after the other."""
    if isinstance(described, dict) and described.get("type") == "Sequence":
        for part in described.get("pretokenizers", []):
            yield from _parts(part)
    elif isinstance(described, dict):
        yield described
