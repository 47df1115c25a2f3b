"""No step is taken on anything that is not finite; what is logged beside the loss are means over all tokens."""

import pytest
import torch
from transformers import TrainerCallback

from bakery.engine.distill.objective import TokenDivergence
from bakery.engine.model.process_group import SINGLE_PROCESS
from bakery.errors import NumericError
from bakery.training.callbacks import RunningMeans
from tests.engine_support import adapter_weights, make_trainer, tiny_model


class _Poison(TrainerCallback):
    """Makes one weight of the adapter infinite before the given step, so that its loss is not finite."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_begin(self, args, state, control, model=None, **_):
        if state.global_step == self.step:
            next(p for p in model.parameters() if p.requires_grad).data.view(-1)[0] = float("nan")


def test_no_step_is_taken_on_a_loss_that_is_not_finite(tmp_path):
    trainer = make_trainer(tmp_path, callbacks=[_Poison(1)], num_train_epochs=2)
    with pytest.raises(NumericError, match="loss is nan at step 1"):
        trainer.train()
    assert trainer.state.global_step == 1


class _InfiniteGradient(TrainerCallback):
    """Spoils one gradient of the first step, after the backward pass."""

    def on_step_begin(self, args, state, control, model=None, **_):
        parameter = next(p for p in model.parameters() if p.requires_grad)
        parameter.register_hook(lambda gradient: gradient * float("inf"))


@pytest.mark.parametrize("max_grad_norm", [0.0, 1.0])
def test_no_step_is_taken_on_a_gradient_that_is_not_finite(tmp_path, max_grad_norm):
    model = tiny_model(trained=True)
    before = adapter_weights(model)
    trainer = make_trainer(tmp_path, model=model, callbacks=[_InfiniteGradient()], max_grad_norm=max_grad_norm)
    with pytest.raises(NumericError, match="gradient is not finite at step 0"):
        trainer.train()
    after = adapter_weights(model)
    assert all(torch.equal(after[name], weight) for name, weight in before.items())


def test_running_means_are_over_tokens_and_begin_anew_when_read():
    means = RunningMeans()
    for entropies, agreements in (([1.0, 2.0, 3.0], [1.0, 0.0, 1.0]), ([6.0], [0.0])):
        means.add(TokenDivergence(torch.zeros(len(entropies)), torch.tensor(entropies), torch.tensor(agreements)))
    assert means.read(SINGLE_PROCESS) == {"teacher_entropy": 3.0, "agreement": 0.5}
    assert means.read(SINGLE_PROCESS) == {}
