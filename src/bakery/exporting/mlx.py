"""An adapter under MLX's names and in its shapes: what `mlx_lm` reads with `--adapter-path`.

    y = W x + scale * (x @ lora_a) @ lora_b        lora_a [in, rank], lora_b [rank, out]

PEFT has both matrices transposed, and its description has other keys under the same file name. MLX knows one rank and
one scale for all layers. Where the adapter has that too, the matrices are its own and the strength is in the scale; an
adapter with patterns of ranks or scales is brought to one rank and a scale of 1.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from bakery.errors import ModelError
from bakery.exporting.low_rank import LowRankLayer, of_one_rank

_LAYER = re.compile(r"model\.layers\.\d+\.(?P<key>.+)")


@dataclass(frozen=True)
class WeightCheck:
    """How many layers change the base exactly as the adapter does, and by how much the others differ at most."""

    layers: int
    equal: int
    largest_difference: float


def write_mlx(layers: Sequence[LowRankLayer], total_layers: int, dtype: torch.dtype, folder: Path) -> None:
    """adapters.safetensors and adapter_config.json.

    Args:
        layers: at the strength to be written.
        total_layers: of the base model, adapted or not.
        dtype: number format of the weights.
        folder: where to.

    Raises:
        ModelError: MLX has other names for the layers of this model.
    """
    matches = {layer.name: _LAYER.fullmatch(layer.name) for layer in layers}
    if unknown := next((name for name, match in matches.items() if match is None), None):
        raise ModelError(f"export: MLX may call {unknown} otherwise; use --to merged, which mlx_lm takes as it is")
    if len({(layer.rank, layer.scale) for layer in layers}) > 1:
        layers = of_one_rank(layers)
    weights = {
        f"{layer.name}.{name}": matrix.T.to(dtype).contiguous()
        for layer in layers
        for name, matrix in (("lora_a", layer.a), ("lora_b", layer.b))
    }
    save_file(weights, folder / "adapters.safetensors", metadata={"format": "mlx"})
    description = {
        "fine_tune_type": "lora",
        "num_layers": total_layers,
        "lora_parameters": {
            "rank": layers[0].rank,
            "scale": layers[0].scale,
            "dropout": 0.0,
            "keys": sorted({match["key"] for match in matches.values() if match}),
        },
    }
    (folder / "adapter_config.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    (folder / "adapters.safetensors").chmod((folder / "adapter_config.json").stat().st_mode)


def read_mlx(folder: Path) -> tuple[LowRankLayer, ...]:
    """The layers of an adapter for MLX, in PEFT's shapes."""
    scale = json.loads((folder / "adapter_config.json").read_text("utf-8"))["lora_parameters"]["scale"]
    with safe_open(str(folder / "adapters.safetensors"), framework="pt") as file:
        names = sorted(key.removesuffix(".lora_a") for key in file.keys() if key.endswith(".lora_a"))  # noqa: SIM118
        return tuple(
            LowRankLayer(name, _transposed(file, f"{name}.lora_a"), _transposed(file, f"{name}.lora_b"), scale)
            for name in names
        )


def _transposed(file: Any, key: str) -> Tensor:
    matrix: Tensor = file.get_tensor(key)
    return matrix.float().T.contiguous()


def check_mlx(folder: Path, layers: Sequence[LowRankLayer]) -> WeightCheck:
    """Read the folder back and compare what it adds to every layer with what the adapter adds.

    Raises:
        ModelError: a layer is missing.
    """
    written = {layer.name: layer for layer in read_mlx(folder)}
    if missing := {layer.name for layer in layers} ^ written.keys():
        raise ModelError(f"export: {min(missing)} is not in both the adapter and what was written for MLX")
    changes = ((layer.change(), written[layer.name].change()) for layer in layers)
    compared = [(torch.equal(own, other), float((own - other).abs().max())) for own, other in changes]
    return WeightCheck(len(compared), sum(equal for equal, _ in compared), max(largest for _, largest in compared))
