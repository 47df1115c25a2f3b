"""`BakeryConfig`: transformers' `TrainingArguments` with the settings of a bake (the only settings file with torch)."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import TrainingArguments

from bakery.checks import check_ranges
from bakery.config import BakingFields


@dataclass(repr=False)
class BakeryConfig(BakingFields, TrainingArguments):  # type: ignore[misc]
    """How to bake. Every field of `TrainingArguments` works; `BakingFields` adds ours and changes some defaults.

    Raises:
        ConfigError: a setting of the bake is out of range.
    """

    def __post_init__(self) -> None:
        check_ranges(vars(self))
        super().__post_init__()
