"""Every setting by name: ours by group, then the other fields of `TrainingArguments`."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from bakery.settings.config import BakingFields, ContextConfig, DataConfig, LoraConfig, ModelConfig
from bakery.settings.fields import Field, dataclass_fields
from bakery.settings.training_arguments import training_fields

_GROUPS = {"context": ContextConfig, "data": DataConfig, "baking": BakingFields, "model": ModelConfig,
           "LoRA": LoraConfig}  # fmt: skip


@cache
def all_fields() -> Mapping[str, Field]:
    """Every setting by name. A field that `BakingFields` declares again has transformers' type, or ours to be null."""
    training = {item.name: item for item in training_fields()}
    ours = {item.name: item for group, owner in _GROUPS.items() for item in dataclass_fields(owner, group)}
    for name in ours.keys() & training.keys():
        theirs = training.pop(name)
        kinds = theirs.kinds | (ours[name].kinds & {"null"})
        ours[name] = replace(ours[name], kinds=kinds, items=theirs.items, choices=theirs.choices)
    return ours | training
