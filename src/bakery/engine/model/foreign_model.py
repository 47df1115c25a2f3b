"""Model folders of strangers: what is checked before transformers reads them, and every way in which it can fail."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM

from bakery.errors import ModelError
from bakery.settings.files import existing_file, read_description
from bakery.text import excerpt

FAILURES = (ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, OSError, RuntimeError,
            SafetensorError, TypeError, ValueError)  # fmt: skip
"""What transformers, peft and safetensors raise about files that they cannot use."""
MOST_LAYERS = 10_000
MOST_PER_BYTE = 8
"""Numbers of a model for each byte of its files: weights of one bit."""
MAX_TOKENIZER_BYTES = 2**29
MOST_GROWTH = 1000
_TOKENIZER = "tokenizer.json"
_BACKTRACKS = re.compile(r"\((?:[^()\\]|\\.)*(?<!\\)[+*](?:[^()\\]|\\.)*\)[+*{]")
"""A repeated group with a repetition inside."""
_READ = (".json", ".jinja", ".model", ".safetensors", ".tiktoken", ".txt")
_LONG = (_TOKENIZER, "vocab.json", "merges.txt", "vocab.txt", "model.safetensors.index.json")


def check_model_folder(source: str) -> None:
    """Refuse a folder with a pipe or a device among the files of a model, or with a description that is no JSON object.

    A hub id, which is no folder, passes.

    Raises:
        ModelError: a file cannot be read.
    """
    folder = Path(source)
    if not folder.is_dir():
        return
    for file in sorted(folder.iterdir()):
        if file.suffix not in _READ or file.is_dir():
            continue
        if existing_file(file, ModelError).suffix == ".json" and file.name not in _LONG:
            read_description(file, ModelError)
    if (folder / _TOKENIZER).exists():
        _check_tokenizer(folder / _TOKENIZER)


def _check_tokenizer(file: Path) -> None:
    """Refuse rules that lengthen a text without bound, or that backtrack: a text is taken apart by them in one call.

    Raises:
        ModelError: the file cannot be read, or has such a rule.
    """
    description = read_description(file, ModelError, MAX_TOKENIZER_BYTES)
    growth = 1
    for rule in _mappings([description.get(part) for part in ("normalizer", "pre_tokenizer", "decoder")]):
        pattern = rule.get("pattern")
        if isinstance(pattern, dict) and _BACKTRACKS.search(str(pattern.get("Regex", ""))):
            raise ModelError(f"{file}: the pattern {excerpt(str(pattern['Regex']))!r} may backtrack; make it simpler")
        if rule.get("type") == "Replace":
            growth *= max(1, len(str(rule.get("content", ""))))
    if growth > MOST_GROWTH:
        raise ModelError(f"{file}: its replacements make a text up to {growth:,} times as long; remove some")


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    """All mappings within a value."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _mappings(inner)


def check_model_size(source: str, config: Any) -> None:
    """Refuse a description of a model that is larger than the weights in its folder can be.

    Raises:
        ModelError: transformers would make room for more than there is.
    """
    folder = Path(source)
    if not folder.is_dir():
        return
    held = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    layers = getattr(config.get_text_config(), "num_hidden_layers", 0)
    if isinstance(layers, int) and layers > MOST_LAYERS:
        raise ModelError(f"{folder / 'config.json'}: num_hidden_layers: {layers} is above {MOST_LAYERS:,}")
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    wanted = sum(weight.numel() for weight in model.parameters())
    if wanted > MOST_PER_BYTE * held:
        raise ModelError(
            f"{folder / 'config.json'}: describes a model of {wanted:,} numbers, but the weights beside it are only "
            f"{held:,} bytes long; copy the folder again"
        )
