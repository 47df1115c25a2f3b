"""What a request saves once its prompt is in the weights: tokens, the time to read them, and the memory they occupy."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import Any

import torch

from bakery.chat.views import PromptPair
from bakery.engine.distill.conditions import Condition
from bakery.engine.distill.engine import Engine
from bakery.engine.model.adapters import acting
from bakery.engine.model.structure import device_of

_REPEATS = 5
_ENOUGH_SECONDS = 0.5


@dataclass(frozen=True)
class RequestCost:
    """One request with and without its prompt."""

    saved_tokens: float  # tokens of prompt that a request no longer carries; the mean over the rows measured
    prompted_seconds: float  # until the first token of an answer, alone on this machine, nothing cached; the median
    baked_seconds: float  # the same without the prompt, the adapter beside its base
    merged_seconds: float  # the same without the prompt, the adapter merged into its base
    saved_bytes: int | None  # of keys and values that are not held while answering; None: the model does not tell

    def break_even(self, bake_seconds: float, *, merged: bool = False) -> int | None:
        """After how many requests the seconds saved outweigh those of the bake; None when a request saves no time."""
        saved = self.prompted_seconds - (self.merged_seconds if merged else self.baked_seconds)
        return ceil(bake_seconds / saved) if saved > 0 else None


def measure_request_cost(engine: Engine, prompts: Sequence[PromptPair]) -> RequestCost:
    """Read the request of median length with and without its prompt, a few times each."""
    lengths = [len(prompt.teacher_ids) - len(prompt.student_ids) for prompt in prompts]
    typical = sorted(prompts, key=lambda prompt: len(prompt.teacher_ids))[len(prompts) // 2]
    prompted, prompted_bytes = _prefill(engine, engine.teacher_condition, typical.teacher_ids)
    baked, baked_bytes = _prefill(engine, engine.student_condition, typical.student_ids)
    merged, _ = _prefill(engine, engine.teacher_condition, typical.student_ids)  # merged weights are the base's shape
    saved = None if prompted_bytes is None or baked_bytes is None else prompted_bytes - baked_bytes
    return RequestCost(sum(lengths) / len(lengths), prompted, baked, merged, saved)


def _prefill(engine: Engine, condition: Condition, ids: Sequence[int]) -> tuple[float, int | None]:
    """The median seconds of a pass over a request under a condition, and the bytes of its cache."""
    model: Any = engine.model
    device = device_of(model)
    batch = torch.tensor([list(ids)], device=device)
    spent: list[float] = []
    cache = None
    with acting(model, condition.adapters), engine.autocast(), torch.no_grad():
        while len(spent) < _REPEATS and sum(spent) < _ENOUGH_SECONDS:
            _wait(device)
            started = time.perf_counter()
            cache = model(input_ids=batch, use_cache=True, logits_to_keep=1).past_key_values
            _wait(device)
            spent.append(time.perf_counter() - started)
    return median(spent), _bytes(cache)


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _bytes(cache: Any) -> int | None:
    """Bytes of keys, values and states that a cache holds; None for a cache that does not show its layers."""
    values = (value for layer in getattr(cache, "layers", ()) for value in vars(layer).values())
    return sum(value.nbytes for value in values if isinstance(value, torch.Tensor)) or None
