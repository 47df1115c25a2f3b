"""The parts of a transformers model inside its wrappers: base, decoder, stop tokens; and evaluation mode."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from peft import PeftModel
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from bakery.errors import ModelError
from bakery.text import excerpt


def unwrap(model: nn.Module) -> nn.Module:
    """The model inside data-parallel wrappers."""
    while isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel):
        model = model.module
    return model


def base_of(model: nn.Module) -> PreTrainedModel:
    """The transformers model inside wrappers and peft; adapter layers stay where they are."""
    inner = unwrap(model)
    return cast(PreTrainedModel, inner.get_base_model() if isinstance(inner, PeftModel) else inner)


def decoder(model: nn.Module) -> nn.Module:
    """The part of the model below its LM head: token ids to final hidden states."""
    return cast(nn.Module, base_of(model).get_decoder())


def hidden_size(model: nn.Module) -> int:
    """The width of the final hidden states."""
    return int(base_of(model).config.get_text_config().hidden_size)


def context_of(config: PreTrainedConfig) -> int | None:
    """How many tokens a model of this configuration reads at most; None where that is not said."""
    most = getattr(config.get_text_config(), "max_position_embeddings", None)
    return int(most) if most else None


def device_of(model: nn.Module) -> torch.device:
    """Where the model's first weights are."""
    return next(model.parameters()).device


def stop_ids(model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Every token that ends a turn: those of the generation config and the tokenizer's own.

    Raises:
        ModelError: the generation config holds something else than ids.
    """
    generation = getattr(base_of(model), "generation_config", None)
    configured = getattr(generation, "eos_token_id", None)
    ids = configured if isinstance(configured, list | tuple) else [configured]
    if any(not isinstance(i, int | None) for i in ids):
        raise ModelError(
            f"the model's generation_config.json: eos_token_id: must be ids, got {excerpt(repr(configured))}"
        )
    return frozenset(i for i in [*ids, tokenizer.eos_token_id] if i is not None)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model without dropout inside the block; blocks may lie within one another, the inner ones cost nothing."""
    if not model.training:
        yield
        return
    model.eval()
    try:
        yield
    finally:
        model.train()
