"""The settings of a bake with what depends on the model and its rows: learning rate, most steps, when to measure."""

import math
from collections.abc import Sequence
from copy import copy

from transformers.trainer_utils import IntervalStrategy

from bakery.rows.conversations import Conversation
from bakery.settings.arguments import BakeryConfig
from bakery.training.schedule import learning_rate_of

_OFTEN = 0.05
_MOST_STEPS = 20_000
_MOST_EPOCHS = 300
"""Nothing is left to learn from rows that were read this often."""


def settled(args: BakeryConfig, width: int, rows: Sequence[Conversation]) -> BakeryConfig:
    """The same settings, complete: for hidden states of `width`, and rows some of which are still to be answered."""
    args = copy(args)
    if args.learning_rate is None:
        args.learning_rate = learning_rate_of(width)
    if args.open_ended:
        sampled = sum(not row.answered for row in rows)
        args.max_steps = _most_steps(args, len(rows) + sampled * (args.num_trajectories - 1))
    elif args.stops_early and args.eval_strategy == IntervalStrategy.NO:
        args.eval_strategy, args.eval_steps = IntervalStrategy.STEPS, args.eval_steps or _OFTEN
    if args.num_train_epochs is None:
        args.num_train_epochs = 3.0  # transformers compares it with 0; max_steps overrides it
    return args


def _most_steps(args: BakeryConfig, rows: int) -> int:
    per_step: int = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
    return min(_MOST_STEPS, _MOST_EPOCHS * math.ceil(rows / per_step))
