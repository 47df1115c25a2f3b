"""The command as torchrun starts it, with a loss that is not finite in one of the processes.

torchrun --standalone --nproc_per_node 2 tests/end_to_end/one_process_fails.py RANK --config ...
"""

import os
import sys

os.environ["TRANSFORMERS_VERBOSITY"] = "error"

from bakery import cli
from bakery.errors import NumericError
from bakery.training.trainer import ContextBakingTrainer


def not_finite(*arguments, **named):
    raise NumericError("the loss is nan")


if __name__ == "__main__":
    if os.environ["RANK"] == sys.argv[1]:
        ContextBakingTrainer.compute_loss = not_finite
    cli.GRACE_SECONDS = 3
    sys.exit(cli.main(sys.argv[2:]))
