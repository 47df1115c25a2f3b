"""`BakeryConfig`: transformers' `TrainingArguments` with the settings of a bake; importing it imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transformers import TrainingArguments

from bakery.settings.checks import range_problems, refuse
from bakery.settings.config import BakingFields
from bakery.settings.precision import take_back_unavailable


@dataclass(repr=False)
class BakeryConfig(BakingFields, TrainingArguments):  # type: ignore[misc]
    """How to bake. Every field of `TrainingArguments` works; `BakingFields` adds ours and changes some defaults.

    Half precision that the device does not have is turned off; `notes` says so, one line each.

    Raises:
        ConfigError: a setting of the bake is out of range.
    """

    def __post_init__(self) -> None:
        refuse(range_problems(vars(self)))
        self.notes = take_back_unavailable(self)
        super().__post_init__()

    @property
    def open_ended(self) -> bool:
        """Whether nothing says how long to train: a bake then runs until it is done."""
        return self.num_train_epochs is None and self.max_steps <= 0

    @property
    def stops_early(self) -> bool:
        """Whether a bake may end before its last step."""
        return self.target_divergence is not None or self.patience is not None

    @property
    def is_proved(self) -> bool:
        """Whether a proof follows the training."""
        return self.proof != "none"

    @property
    def measures_gap(self) -> bool:
        """Whether it is measured before the first step how much the prompt changes."""
        return self.is_proved or not self.allow_no_gap

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled, and so lies in every `training_args.bin`: everything but access tokens."""
        return {name: None if name.endswith("hub_token") else value for name, value in vars(self).items()}

    def __copy__(self) -> BakeryConfig:
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied
