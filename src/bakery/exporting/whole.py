"""An adapter merged into its base: a model of its own that needs no peft."""

from pathlib import Path

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper
from torch import nn
from transformers import GenerationConfig, PreTrainedModel

from bakery.engine.distill.conditions import TRAINED
from bakery.engine.model.adapters import lora_layers
from bakery.errors import ModelError


def merge(model: PeftModel, strength: float) -> PreTrainedModel:
    """The base with the adapter in its weights, at a strength; the peft model is taken apart.

    Raises:
        ModelError: peft cannot merge this adapter.
    """
    for layer in lora_layers(model):
        layer.set_scale(TRAINED, strength)
    _untie(model.get_base_model())
    try:
        return model.merge_and_unload(safe_merge=True)
    except (ValueError, RuntimeError, NotImplementedError) as error:
        raise ModelError(f"peft cannot merge this adapter: {str(error).splitlines()[0]}") from error


def _untie(base: PreTrainedModel) -> None:
    """Give the LM head a weight of its own where it shares the embedding's and the adapter changes one of the two."""
    configs = (base.config, base.config.get_text_config())
    embedding, head = base.get_input_embeddings(), base.get_output_embeddings()
    changed = any(isinstance(part, BaseTunerLayer | AuxiliaryTrainingWrapper) for part in (embedding, head))
    if not changed or not any(getattr(config, "tie_word_embeddings", False) for config in configs):
        return
    for part in head.modules():
        if "weight" in dict(part.named_parameters(recurse=False)):
            part.weight = nn.Parameter(part.weight.detach().clone(), requires_grad=False)
    for config in configs:
        config.tie_word_embeddings = False


def write_model(model: PreTrainedModel, dtype: torch.dtype, folder: Path) -> None:
    """Weights, config.json and generation_config.json, the weights rounded to a number format."""
    generation = model.generation_config
    model.generation_config = GenerationConfig()  # one with contradictions is refused, though the base came with it
    model.to(dtype).save_pretrained(str(folder))
    write_generation_config(generation, folder)


def write_generation_config(generation: GenerationConfig | None, folder: Path) -> None:
    """The base's own, as it is."""
    if generation is not None:
        generation.to_json_file(str(folder / "generation_config.json"))
