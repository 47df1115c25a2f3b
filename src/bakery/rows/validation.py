"""Validation rows where none are given: prompts that are taken out of training. Torch-free."""

import random
from dataclasses import replace

from bakery.rows.bake_data import BakeData
from bakery.rows.conversations import prompt_key

_FEWEST_RESERVED, _MOST_RESERVED = 2, 64
ENOUGH_PROMPTS = 20
"""From so many given prompts on, a share of them is held out."""


def split_validation(data: BakeData, share: float, seed: int, *, needed: bool) -> BakeData:
    """Move some prompts, with all their rows, from training to validation, where there are no validation rows.

    `share` is of the distinct prompts, `seed` that of the choice. `needed`: the bake ends by them, so they are taken
    although there are scored questions, and of few prompts too; of fewer than 4 none are taken.
    """
    if data.validation or share == 0 or ((data.heldout or data.evaluation) and not needed):
        return data
    prompts = sorted({prompt_key(row) for row in data.train}, key=repr)
    if len(prompts) < (2 * _FEWEST_RESERVED if needed else ENOUGH_PROMPTS):
        return data
    count = min(_MOST_RESERVED, max(_FEWEST_RESERVED, round(share * len(prompts))))
    reserved = set(random.Random(seed).sample(prompts, count))
    return replace(
        data,
        train=[row for row in data.train if prompt_key(row) not in reserved],
        validation=[row for row in data.train if prompt_key(row) in reserved],
    )
