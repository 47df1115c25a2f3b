"""Model folders of strangers: what is checked before transformers reads them, and every way in which it can fail."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import nn
from transformers import AutoModelForCausalLM

from bakery.errors import ModelError, NumericError
from bakery.settings.files import existing_file, read_description
from bakery.text import excerpt

FAILURES = (ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, OSError, RuntimeError,
            SafetensorError, StrictDataclassError, TypeError, ValueError, re.error)  # fmt: skip
"""What transformers, peft and safetensors raise about files that they cannot use."""
MOST_LAYERS = 10_000
MOST_PER_BYTE = 8
"""Numbers of a model for each byte of its files: weights of one bit."""
MAX_LIST_BYTES = 2**29
MOST_GROWTH = 1000
_TOKENIZER = "tokenizer.json"
_BACKTRACKS = re.compile(r"\((?:[^()\\]|\\.)*(?<!\\)[+*](?:[^()\\]|\\.)*\)[+*{]")
"""A repeated group with a repetition inside."""
_READ = (".json", ".jinja", ".model", ".safetensors", ".tiktoken", ".txt")
_QUANTISED = {"Linear8bitLt": "CB", "Linear4bit": "compress_statistics"}
"""By the layer of bitsandbytes, what a weight that it can use has."""
_CONFIG = "config.json"
_INDEX = "model.safetensors.index.json"
_LONG = (_TOKENIZER, "vocab.json", "merges.txt", "vocab.txt", _INDEX)


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
    if (folder / _CONFIG).exists():
        _check_layers(folder / _CONFIG)
    if (folder / _INDEX).exists():
        _check_index(folder / _INDEX)
    if (folder / _TOKENIZER).exists():
        _check_tokenizer(folder / _TOKENIZER)


def check_weights(model: nn.Module, name: str) -> None:
    """Refuse a model with a weight that is not a finite number.

    Raises:
        NumericError: the message names the first such weight.
    """
    for weight, values in model.named_parameters():
        if not values.is_floating_point() or torch.isfinite(values.detach().sum(dtype=torch.float32)):
            continue
        if not torch.isfinite(values).all():  # the sum alone may be too large
            raise NumericError(f"{name}: the weight {weight} of the model is not finite; load or copy it again")


def check_quantised(model: nn.Module, name: str) -> None:
    """Refuse a model whose description promises weights of 8 or 4 bits, where its files hold others.

    Raises:
        ModelError: the message names the first such weight.
    """
    for layer, module in model.named_modules():
        promised = _QUANTISED.get(type(module).__name__)
        if promised and not hasattr(module.weight, promised):
            raise ModelError(
                f"{name}: its config.json promises quantised weights (quantization_config), and {layer} has none; "
                "remove quantization_config there, or copy the folder again"
            )


def _check_layers(file: Path) -> None:
    """Refuse a number of layers, under whatever name, for which transformers would make a list without end.

    Raises:
        ModelError: the file cannot be read, or has such a number.
    """
    for part in _mappings(read_description(file, ModelError)):
        for name, value in part.items():
            if "layer" in name and isinstance(value, int | float) and not value <= MOST_LAYERS:
                raise ModelError(f"{file}: {name}: is above {MOST_LAYERS:,}")


def _check_index(file: Path) -> None:
    """Refuse weights that lie in another folder or are no safetensors: what is there would be read, whatever it is.

    Raises:
        ModelError: the index cannot be read, or names such a file.
    """
    files = read_description(file, ModelError, MAX_LIST_BYTES).get("weight_map")
    if not isinstance(files, dict):
        raise ModelError(f"{file}: has no weight_map")
    for name in files.values():
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
            raise ModelError(f"{file}: names {excerpt(repr(name))}, which is no safetensors file beside it")


def _check_tokenizer(file: Path) -> None:
    """Refuse rules that lengthen a text without bound, or that backtrack: a text is taken apart by them in one call.

    Raises:
        ModelError: the file cannot be read, or has such a rule.
    """
    description = read_description(file, ModelError, MAX_LIST_BYTES)
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
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    wanted = sum(weight.numel() for weight in model.parameters())
    if wanted > MOST_PER_BYTE * held:
        raise ModelError(
            f"{folder / _CONFIG}: describes a model of {wanted:,} numbers, but the weights beside it are only "
            f"{held:,} bytes long; copy the folder again"
        )
