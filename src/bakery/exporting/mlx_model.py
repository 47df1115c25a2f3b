"""A base with an adapter as `mlx_lm` runs them, where that is installed; it is never asked for by this package."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bakery.text import excerpt


@dataclass(frozen=True)
class MlxModel:
    """A loaded model, its own greedy answers and the log-probabilities of others; see `asking.Asked`.

    Args:
        network: token ids to logits.
        core: the module `mlx.core`.
        stops: the tokens that end a turn.
        longest: how many tokens an answer has at most.
    """

    network: Any
    core: Any
    stops: frozenset[int]
    longest: int

    def answer(self, ids: Sequence[int]) -> tuple[int, ...]:
        """The greedy answer, every token from a pass over all before it."""
        answer: list[int] = []
        while len(answer) < self.longest and not (answer and answer[-1] in self.stops):
            answer.append(int(self._logits([*ids, *answer])[-1].argmax()))
        return tuple(answer)

    def log_probabilities(self, ids: Sequence[int], answer: Sequence[int]) -> Tensor:
        """Of the tokens of an answer behind a prompt: [len(answer)]."""
        known = torch.log_softmax(self._logits([*ids, *answer])[len(ids) - 1 : -1], dim=-1)
        return known.gather(1, torch.tensor(list(answer))[:, None])[:, 0]

    def _logits(self, ids: Sequence[int]) -> Tensor:
        logits = self.network(self.core.array([list(ids)]))[0].astype(self.core.float32)  # numpy has no bfloat16
        return torch.from_numpy(np.array(logits))


def load_in_mlx(base: str, adapter: Path, stops: frozenset[int], longest: int) -> MlxModel | str:
    """The model in float32, or why there is none."""
    if find_spec("mlx_lm") is None:
        return "mlx_lm is not installed here"
    core = import_module("mlx.core")
    try:
        network = import_module("mlx_lm").load(base, adapter_path=str(adapter))[0]
    except (ValueError, OSError, KeyError, AttributeError, ImportError) as error:
        return f"mlx_lm does not load {base}: {excerpt(str(error), 120)}"
    network.set_dtype(core.float32)
    return MlxModel(network, core, stops, longest)
