"""Adapters of strangers: what their description may say, checked and rewritten before peft reads it.

peft imports the modules that a description names, and matches the names of layers against its patterns with an engine
that can take for ever. So peft is given a description of which every pattern is resolved to names, and no module is
named.
"""

import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import PeftType
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import PreTrainedTokenizerBase

from bakery.engine.model.adapters import is_adapter_weight
from bakery.errors import ConfigError, ModelError
from bakery.scoring.answers import full_matches
from bakery.settings.files import existing_file, read_description
from bakery.text import excerpt

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_TOKENIZER = "tokenizer.json"
_MOST_TOKENIZER_BYTES = 2**29
_IMPORTS = ("auto_mapping", "megatron_config", "megatron_core")
"""What makes peft import a module of any name."""
_TUNERS = re.compile(r"\.(?:base_layer|lora_\w+|modules_to_save|original_module)(?:\.|$)")


@contextmanager
def checked_adapter(folder: Path, model: nn.Module) -> Iterator[Path]:
    """A folder with an adapter's weights and a description of it that can be loaded into a model without harm.

    Raises:
        ModelError: a file is missing or damaged, or the description is not one of an adapter with these weights.
    """
    for needed in (CONFIG, WEIGHTS):
        if not (folder / needed).exists():
            raise ModelError(f"{folder} is not an adapter: it has no {needed}")
    given = read_description(folder / CONFIG, ModelError)
    weights = existing_file(folder / WEIGHTS, ModelError).resolve()
    names = [name for name, _ in model.named_modules() if name and not _TUNERS.search(f".{name}")]
    try:
        described = _resolved(given, names)
    except (ConfigError, TypeError, ValueError) as error:
        raise ModelError(f"{folder / CONFIG}: {error}") from error
    _check_ranks(folder, described, _largest_side(weights))
    with tempfile.TemporaryDirectory() as copy:
        Path(copy, CONFIG).write_text(json.dumps(described), "utf-8")
        os.symlink(weights, Path(copy, WEIGHTS))
        yield Path(copy)


def check_finite(model: nn.Module, folder: Path) -> None:
    """Refuse an adapter with a weight that is not a finite number.

    Raises:
        ModelError: the message names the weight.
    """
    if name := weight_not_finite(model):
        raise ModelError(f"{folder}: the adapter's weight {name} is not finite; it is damaged, or its bake diverged")


def weight_not_finite(model: nn.Module) -> str | None:
    """The name of a weight of an adapter that is not a finite number, if there is one."""
    weights = ((name, weight) for name, weight in model.named_parameters() if is_adapter_weight(name))
    return next((name for name, one in weights if one.is_floating_point() and not torch.isfinite(one.sum())), None)


def check_vocabulary(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Refuse an adapter that was saved with a tokenizer of other tokens: its base is another one than that of its bake.

    A folder without `tokenizer.json` is not checked.

    Raises:
        ModelError: a token of the folder's has another id here, or none.
    """
    file = folder / _TOKENIZER
    if not file.is_file():
        return
    model = read_description(file, ModelError, _MOST_TOKENIZER_BYTES).get("model")
    saved = model.get("vocab") if isinstance(model, dict) else None
    known = tokenizer.get_vocab()
    if isinstance(saved, dict) and any(known.get(token) != number for token, number in saved.items()):
        raise ModelError(
            f"{folder}: the adapter was baked on a model with other tokens than {tokenizer.name_or_path}; give that "
            "model as model_name_or_path, or bake again"
        )


def _resolved(given: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The description with its patterns resolved to names of modules.

    Raises:
        ConfigError, ValueError: it says what it cannot mean.
    """
    kind = given.get("peft_type")
    if not isinstance(kind, str) or kind not in PeftType.__members__:
        raise ValueError(f"peft_type: {excerpt(json.dumps(kind), 60)} is no kind of adapter, such as LORA")
    described = {key: value for key, value in given.items() if key not in _IMPORTS}
    for key in ("target_modules", "exclude_modules"):
        value = described.get(key)
        if isinstance(value, str) and value != "all-linear":
            described[key] = full_matches(value, names)
            if key == "target_modules" and not described[key]:
                raise ValueError(f"{key}: the pattern {excerpt(value)!r} matches no layer of this base model")
        elif not (value is None or isinstance(value, str) or _are_texts(value)):
            raise ValueError(f"{key}: must be a pattern or a list of names, got {excerpt(json.dumps(value), 60)}")
    for key in ("rank_pattern", "alpha_pattern"):
        patterns = described.get(key) or {}
        if not isinstance(patterns, dict) or not all(_is_size(value) for value in patterns.values()):
            raise ValueError(f"{key}: must be numbers by names, got {excerpt(json.dumps(patterns), 60)}")
        named: dict[str, Any] = {}
        for pattern, value in patterns.items():
            for name in full_matches(rf"(?:.*\.)?(?:{pattern})", names):
                named.setdefault(re.escape(name), value)
        described[key] = named
    layers = described.get("layers_pattern")
    if any(re.search(r"[^\w.]", str(name)) for name in (layers if isinstance(layers, list) else [layers or ""])):
        raise ValueError(f"layers_pattern: must be names of lists of layers, got {excerpt(json.dumps(layers), 60)}")
    saved = described.get("modules_to_save") or []
    if not _are_texts(saved) or any(re.search(r"[^\w.]", name) for name in saved):
        raise ValueError(f"modules_to_save: must be a list of names, got {excerpt(json.dumps(saved), 60)}")
    tokens = described.get("alora_invocation_tokens") or []
    if not isinstance(tokens, list) or any(type(token) is not int for token in tokens):
        raise ValueError(f"alora_invocation_tokens: must be a list of ids, got {excerpt(json.dumps(tokens), 60)}")
    for key in ("r", "lora_alpha"):
        if not _is_size(described.get(key, 1)):
            raise ValueError(f"{key}: must be a number above 0, got {excerpt(json.dumps(described[key]), 60)}")
    return described


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_size(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < 2**31


def _largest_side(weights: Path) -> int:
    """The largest side of all tensors in a file; no rank is above it.

    Raises:
        ModelError: the file is damaged.
    """
    try:
        with safe_open(str(weights), framework="pt") as file:
            return max((max(file.get_slice(key).get_shape(), default=0) for key in file.keys()), default=0)  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{weights}: is damaged: {excerpt(str(error), 160)}; copy it again") from error


def _check_ranks(folder: Path, described: Mapping[str, Any], largest: int) -> None:
    """Refuse a rank that the weights cannot have: peft would make room for it before it reads them."""
    for rank in (described.get("r", 0), *described["rank_pattern"].values()):
        if rank > largest:
            raise ModelError(
                f"{folder / CONFIG}: r: {rank} is more than its weights have; they have no side above {largest}"
            )
