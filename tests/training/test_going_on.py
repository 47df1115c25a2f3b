"""A training that was asked to stop, wherever it was, ends bit for bit like one that was not."""

import pytest
import torch
from transformers import TrainerCallback

from bakery.interruption import Interrupted, Interruption
from bakery.rows.datasets import create_dataset
from bakery.training.callbacks import StopWhenAsked
from tests.engine_support import ANSWERS, QUESTIONS, adapter_weights, logged, make_trainer, shake

VALIDATION = create_dataset(QUESTIONS[2:4], ANSWERS[2:4])
TERM, INT = 15, 2
# 8 rows, 2 at a time, 2 batches a step: 2 steps an epoch, 6 in all; measured and saved after steps 2, 4, 6.
LONG = {
    "num_train_epochs": 3,
    "save_steps": 2,
    "eval_strategy": "steps",
    "eval_steps": 2,
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 2,
    "num_trajectories": 2,
    "train_sampling_strategy": "random",
}
MOMENTS = {
    "mid-accumulation": ("on_substep_end", 2),
    "mid-epoch": ("on_step_end", 3),
    "end of an epoch": ("on_epoch_end", 2),
    "after a measurement": ("on_evaluate", 4),
    "after a save": ("on_save", 4),
    "before the last step": ("on_step_begin", 5),
    "last step": ("on_step_end", 6),
}


class _Ask(TrainerCallback):
    """Asks for an end at one moment of the training, as a signal would."""

    def __init__(self, interruption, number, event, step):
        self.asked = False

        def ask(args, state, control, **_):
            if state.global_step == step and not self.asked:
                self.asked = True
                interruption.ask(number)

        setattr(self, event, ask)


def _trainer(folder, dropout=0.2, **others):
    from bakery.engine.model.loading import attach_adapter
    from bakery.settings.config import LoraConfig
    from tests.engine_support import tiny_base

    model = attach_adapter(tiny_base(), LoraConfig(r=4, lora_dropout=dropout))
    rows = create_dataset(QUESTIONS[:4])
    return make_trainer(folder, model=model, rows=rows, eval_dataset=VALIDATION, **{**LONG, **others})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    trainer = _trainer(tmp_path_factory.mktemp("whole"))
    trainer.train()
    assert trainer.state.global_step == 6
    return trainer


@pytest.mark.parametrize("number", [TERM, INT])
@pytest.mark.parametrize("moment", MOMENTS)
def test_it_ends_like_one_that_nobody_stopped(moment, number, whole, tmp_path):
    event, step = MOMENTS[moment]
    interruption = Interruption()
    ask = _Ask(interruption, number, event, step)
    stopped = _trainer(tmp_path, callbacks=[ask])
    stopped.add_callback(StopWhenAsked(interruption))

    def train():
        with interruption.deferred():
            stopped.train()

    with pytest.raises(Interrupted) as told:
        train()
    assert ask.asked
    assert told.value.exit_code == 128 + number
    again = _trainer(tmp_path)
    shake(again.model)
    again.train(resume_from_checkpoint=True)
    wanted, resumed = adapter_weights(whole.model), adapter_weights(again.model)
    assert all(torch.equal(resumed[name], wanted[name]) for name in wanted)
    assert logged(again) == logged(whole)


def test_patience_counts_on_from_where_it_was(tmp_path):
    never = {"patience": 2, "eval_steps": 1, "save_steps": 1, "num_train_epochs": 30, "learning_rate": 1e-12}
    whole = _trainer(tmp_path / "whole", **never)
    whole.train()
    assert whole.stopping.reason is not None
    interruption = Interruption()
    stopped = _trainer(tmp_path / "run", **never, callbacks=[_Ask(interruption, TERM, "on_step_begin", 2)])
    stopped.add_callback(StopWhenAsked(interruption))
    with pytest.raises(Interrupted):
        stopped.train()
    again = _trainer(tmp_path / "run", **never)
    again.train(resume_from_checkpoint=True)
    assert again.state.global_step == whole.state.global_step
    assert again.stopping.reason == whole.stopping.reason
