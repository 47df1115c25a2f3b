"""`ContextBakingTrainer` as Python code gets it: the trainer of `training`, and the proof of what it has trained."""

import warnings
from typing import Any

from bakery.baking import proof_of
from bakery.evaluation.proof import Proof
from bakery.evaluation.proof_rows import proof_rows
from bakery.rows.bake_data import BakeData
from bakery.training import trainer as training


class ContextBakingTrainer(training.ContextBakingTrainer):
    """The trainer with its proof."""

    def prove(self) -> Proof:
        """Ask base, prompted and baked model the same questions: what `bakery.bake` and `bakery eval` measure.

        The questions are the rows of `eval_dataset`; without them they are training rows, and the verdict then is that
        nothing is known about others. How many are asked follows from `args.proof`. `bakery.evaluation.verdict.verdict`
        draws the conclusion, `bakery.report.terminal.print_figures` prints it.

        Raises:
            BakeryError: a row cannot be aligned, or the adapter cannot be merged.
        """
        context = "\n".join(str(message.get("content") or "") for message in self.session.builder.rules.prefix)
        return proof_of(self, proof_rows(rows_of(self)), context)


def rows_of(trainer: training.ContextBakingTrainer) -> BakeData:
    """The rows of a trainer as those of a bake."""
    rows, prefix = trainer.rows, tuple(trainer.session.builder.rules.prefix)
    validation = [row for own in rows.validation.values() for row in own]
    return BakeData(prefix or None, list(rows.train), list(rows.anchors), validation, [], [], [])


class PromptBakingTrainer(ContextBakingTrainer):
    """Older name of `ContextBakingTrainer`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        warnings.warn(
            "PromptBakingTrainer is the older name of ContextBakingTrainer; use that", DeprecationWarning, stacklevel=2
        )
        super().__init__(*arguments, **named)
