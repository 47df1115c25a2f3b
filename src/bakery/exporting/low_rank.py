"""An adapter as plain low-rank matrices, layer by layer, and the PEFT folder that any server takes.

Servers differ in what they read of an adapter's description: llama.cpp knows neither rsLoRA nor patterns of ranks and
takes an `lora_alpha` of 0 for none, vLLM wants it whole. So everything goes into the weights: one rank (smaller ones
are filled up with zeros), and `lora_alpha` equal to it, which is a scale of 1 for whoever reads it.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import pad

from bakery.engine.distill.conditions import TRAINED
from bakery.engine.model.adapters import acting
from bakery.errors import ModelError

_PREFIX = "base_model.model."
"""What peft writes before a layer's name."""


@dataclass(frozen=True)
class LowRankLayer:
    """What an adapter adds to one layer: `scale * b @ a`, of the shape [out, in].

    Args:
        name: of the layer in the base model.
        a: [rank, in], float32.
        b: [out, rank], float32.
        scale: the adapter's own times the strength.
    """

    name: str
    a: Tensor
    b: Tensor
    scale: float

    @property
    def rank(self) -> int:
        """The smaller side of both matrices."""
        return int(self.a.shape[0])

    def change(self) -> Tensor:
        """What is added to the layer's weight [out, in]."""
        return (self.b @ self.a) * self.scale

    def with_rank(self, rank: int) -> "LowRankLayer":
        """The same change with a scale of 1, and zeros up to a rank that is as large or larger."""
        more = rank - self.rank
        return LowRankLayer(self.name, pad(self.a, (0, 0, 0, more)), pad(self.b * self.scale, (0, more)), 1.0)


def low_rank_layers(model: PeftModel, strength: float) -> tuple[LowRankLayer, ...]:
    """The layers of a loaded adapter at a strength, on the CPU.

    Raises:
        ModelError: it adapts a layer otherwise than by two matrices.
    """
    layers = []
    with acting(model, [(TRAINED, strength)]):
        for name, module in model.get_base_model().named_modules():
            if not isinstance(module, LoraLayer):
                continue
            if TRAINED not in module.lora_A or TRAINED not in module.lora_B:
                raise ModelError(
                    f"the adapter changes {name}, which is no linear layer; servers of adapters take none of it; "
                    "use --to merged"
                )
            a, b = (part[TRAINED].weight.detach().float().cpu().clone() for part in (module.lora_A, module.lora_B))
            layers.append(LowRankLayer(name, a, b, float(module.scaling[TRAINED])))
    return tuple(layers)


def of_one_rank(layers: Sequence[LowRankLayer]) -> tuple[LowRankLayer, ...]:
    """The same changes with one rank and a scale of 1."""
    rank = max(layer.rank for layer in layers)
    return tuple(layer.with_rank(rank) for layer in layers)


def write_adapter(
    layers: Sequence[LowRankLayer], description: Any, base: str, dtype: torch.dtype, folder: Path
) -> None:
    """adapter_model.safetensors and adapter_config.json of these layers.

    Args:
        layers: at the strength to be written.
        description: peft's own of the adapter, which stays as it is.
        base: the base's hub id or absolute folder.
        dtype: number format of the weights.
        folder: where to.
    """
    layers = of_one_rank(layers)
    weights = {
        f"{_PREFIX}{layer.name}.lora_{side}.weight": matrix.to(dtype).contiguous()
        for layer in layers
        for side, matrix in (("A", layer.a), ("B", layer.b))
    }
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    written = copy(description)
    changes = {"r": layers[0].rank, "lora_alpha": layers[0].rank, "rank_pattern": {}, "alpha_pattern": {},
               "use_rslora": False, "lora_dropout": 0.0, "inference_mode": True,
               "base_model_name_or_path": base, "revision": None}  # fmt: skip
    for name, value in changes.items():
        setattr(written, name, value)
    written.save_pretrained(str(folder))
    # safetensors writes through a private temporary file, which would leave the adapter unreadable for a server's user.
    (folder / "adapter_model.safetensors").chmod((folder / "adapter_config.json").stat().st_mode)
