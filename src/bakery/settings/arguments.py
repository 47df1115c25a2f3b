"""`BakeryConfig`: transformers' `TrainingArguments` with the settings of a bake; importing it imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transformers import TrainingArguments

from bakery.settings.checks import range_problems, refuse
from bakery.settings.config import BakingFields


@dataclass(repr=False)
class BakeryConfig(BakingFields, TrainingArguments):  # type: ignore[misc]
    """How to bake. Every field of `TrainingArguments` works; `BakingFields` adds ours and changes some defaults.

    Raises:
        ConfigError: a setting of the bake is out of range.
    """

    def __post_init__(self) -> None:
        refuse(range_problems(vars(self)))
        super().__post_init__()

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled, and so lies in every `training_args.bin`: everything but access tokens."""
        return {name: None if name.endswith("hub_token") else value for name, value in vars(self).items()}

    def __copy__(self) -> BakeryConfig:
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied
