"""Every architecture through the whole trainer: sampled answers, teacher, two steps, with the open loop's losses."""

import pytest

from bakery.engine.model.loading import attach_adapter
from bakery.rows.datasets import create_dataset
from bakery.settings.config import LoraConfig
from tests.engine.architectures import ALL, PACKABLE, tiny
from tests.engine_support import QUESTIONS, bake_loop, logged, loop_rows, make_trainer, tokenizer


def _model(name: str):
    return attach_adapter(tiny(name, vocabulary=len(tokenizer())), LoraConfig(r=4))


@pytest.mark.parametrize("name", ALL)
def test_a_bake_has_the_losses_of_the_open_loop(tmp_path, name):
    changes = {"num_trajectories": 1, "trajectory_length": 5, "learning_rate": 1e-3}
    trainer = make_trainer(tmp_path, model=_model(name), rows=create_dataset(QUESTIONS), **changes)
    trainer.train()
    assert trainer.engine.shortcuts.packed == trainer.engine.shortcuts.prefix == (name in PACKABLE)
    assert bool(trainer.engine.shortcuts.notes) == (name not in PACKABLE)
    pairs = [one.pair for _, answers in trainer.trajectories for one in answers]
    wanted = list(bake_loop.bake(_model(name), loop_rows(pairs), epochs=1, batch_size=4, learning_rate=1e-3))
    assert logged(trainer) == pytest.approx(wanted, rel=1e-4)
