"""What the recipes' models hold in memory, counted from their configurations without their weights.

    python examples/recipes/sizes.py            # the table of docs/recipes.md
    python examples/recipes/sizes.py --write    # into the headers of the recipes too

Counted: the weights of the base as they lie in memory; the adapter in float32 with its gradient and Adam's two moments;
keys and values of a thousand tokens. Not counted: activations, logits and libraries. What a bake takes in all, and its
seconds, `bakery --config RECIPE --plan` measures on the machine that is to do it.
"""

import argparse
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

FOLDER = Path(__file__).parent
STATE_BYTES = 16  # of an adapter weight in float32: itself, its gradient, and Adam's two moments
HEADER = (
    "# Counted by examples/recipes/sizes.py from the published configuration, not measured:\n"
    "# {weights:.1f} GB of weights {dtype}, {adapter:.2f} GB of adapter with gradients and Adam's moments,\n"
    "# {keys_values:.2f} GB of keys and values per 1,000 tokens.\n"
)
NOT_COUNTED = (
    "# Activations and logits come on top. Seconds and memory in all: --plan, on the machine that is to bake.\n"
    "# Nobody has run this recipe on the real weights yet. Checked so far: the settings, a tiny random model of the\n"
    "# same architecture, and both views under this model's chat template, or one that was written after it.\n"
)


@dataclass(frozen=True)
class Sizes:
    """Of one model: its parameters, and the gigabytes (1e9 bytes) of what is counted."""

    parameters: int
    weights: float
    adapter: float
    keys_values: float


def models() -> dict[str, dict[str, Any]]:
    """By recipe, what is known of its model."""
    return dict(json.loads((FOLDER / "models.json").read_text("utf-8")))


def recipe(name: str) -> dict[str, Any]:
    """The settings of a recipe."""
    return dict(yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8")))


def build(model: dict[str, Any], **changes: Any) -> nn.Module:
    """A model of this architecture with random weights; `changes` to its sizes."""
    config = AutoConfig.for_model(model["type"], **{**model["config"], **changes})
    return AutoModelForCausalLM.from_config(config)


def sizes(model: dict[str, Any], settings: dict[str, Any]) -> Sizes:
    """Count a model from its configuration, in no memory."""
    with torch.device("meta"):
        built = build(model)
    config, head = built.config, built.get_output_embeddings()
    linear = [one for one in built.modules() if isinstance(one, nn.Linear) and one is not head]
    parameters = sum(weight.numel() for weight in built.parameters())  # tied weights count once
    in_linear = sum(one.weight.numel() for one in linear)
    bits = 4 if settings.get("load_in_4bit") else 16
    adapter = sum(settings["r"] * (one.in_features + one.out_features) for one in linear)
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    keys_values = 2 * config.num_hidden_layers * config.num_key_value_heads * width * 2
    return Sizes(
        parameters,
        (in_linear * bits / 8 + (parameters - in_linear) * 2) / 1e9,
        adapter * STATE_BYTES / 1e9,
        keys_values * 1000 / 1e9,
    )


def header(counted: Sizes, settings: dict[str, Any]) -> str:
    """The lines about sizes at the top of a recipe."""
    dtype = "in 4 bits (layers; the rest in bfloat16)" if settings.get("load_in_4bit") else "in bfloat16"
    return HEADER.format(**vars(counted), dtype=dtype) + NOT_COUNTED


def table() -> str:
    """All recipes as a table."""
    head = "| recipe | model | parameters | weights | adapter | keys and values per 1,000 tokens |"
    rows = [head, "|---|---|--:|--:|--:|--:|"]
    for name, model in models().items():
        settings = recipe(name)
        one = sizes(model, settings)
        bits = ", 4 bits" if settings.get("load_in_4bit") else ""
        rows.append(
            f"| `{name}` | `{settings['model_name_or_path']}` "
            f"| {one.parameters / 1e9:.2f} billion | {one.weights:.1f} GB{bits} | {one.adapter:.2f} GB "
            f"| {one.keys_values:.2f} GB |"
        )
    return "\n".join(rows) + "\n"


def main() -> None:
    """Print the table, and write the headers where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the counted sizes into the recipes")
    if parser.parse_args().write:
        for name, model in models().items():
            path, settings = FOLDER / f"{name}.yaml", recipe(name)
            text = re.sub(r"# Counted by .*?chat template\.\n", "", path.read_text("utf-8"), flags=re.DOTALL)
            first, rest = text.split("\n", 1)
            path.write_text(f"{first}\n{header(sizes(model, settings), settings)}{rest}", encoding="utf-8")
    print(table(), end="")


if __name__ == "__main__":
    main()
