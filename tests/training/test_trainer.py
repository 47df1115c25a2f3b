"""The trainer: the open loop's losses, one gradient whatever the batches, no step on anything that is not finite."""

import pytest
import torch
from transformers import TrainerCallback

from bakery.rows.datasets import create_dataset
from tests.engine_support import (
    ANSWERS,
    QUESTIONS,
    bake_loop,
    logged,
    loop_rows,
    make_trainer,
    tiny_model,
)


class _Gradients(TrainerCallback):
    """Keeps the gradient of every optimiser step, and takes none of them."""

    def __init__(self) -> None:
        self.steps: list[dict[str, torch.Tensor]] = []

    def on_pre_optimizer_step(self, args, state, control, model=None, **_):
        self.steps.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})


@pytest.mark.parametrize("given", [True, False], ids=["given answers", "sampled answers"])
def test_losses_equal_those_of_the_open_loop_step_by_step(tmp_path, given):
    rows = create_dataset(QUESTIONS, ANSWERS) if given else create_dataset(QUESTIONS)
    trainer = make_trainer(tmp_path, rows=rows, num_train_epochs=3, learning_rate=2e-3, num_trajectories=1)
    trainer.train()
    pairs = [*trainer.views.pairs, *(one.pair for _, answers in trainer.trajectories for one in answers)]
    wanted = list(bake_loop.bake(tiny_model(), loop_rows(pairs), epochs=3, batch_size=4, learning_rate=2e-3))
    found = logged(trainer)
    assert len(found) == len(wanted) == 6
    assert found == pytest.approx(wanted, rel=1e-5, abs=1e-6)
    assert sum(found[-2:]) < 0.95 * sum(found[:2])  # the last epoch and the first


def _gradient(folder, *, rows=range(8), **changes) -> dict[str, torch.Tensor]:
    """The gradient of one optimiser step over eight rows, the adapter not being zero."""
    gradients = _Gradients()
    data = create_dataset([QUESTIONS[row] for row in rows], [ANSWERS[row] for row in rows])
    trainer = make_trainer(
        folder,
        model=tiny_model(trained=True),
        rows=data,
        callbacks=[gradients],
        max_grad_norm=0,
        max_steps=1,
        **changes,
    )
    trainer.train()
    (found,) = gradients.steps
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return _gradient(tmp_path_factory.mktemp("whole"), per_device_train_batch_size=8)


@pytest.mark.parametrize(
    "changes",
    [
        {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2},
        {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4},
        {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 8},
        {"per_device_train_batch_size": 3, "gradient_accumulation_steps": 3},
        {"per_device_train_batch_size": 8, "rows": [5, 2, 7, 0, 3, 1, 6, 4]},
        {"per_device_train_batch_size": 8, "token_budget": 40},
        {"per_device_train_batch_size": 8, "teacher": "live"},
        {"per_device_train_batch_size": 8, "gradient_checkpointing": True},
    ],
    ids=lambda changes: ",".join(f"{name}={value}" for name, value in changes.items()),
)
@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")
def test_the_gradient_of_a_step_does_not_depend_on_how_its_rows_are_batched(tmp_path, whole, changes):
    found = _gradient(tmp_path, **changes)
    assert found.keys() == whole.keys()
    for name, wanted in whole.items():
        torch.testing.assert_close(found[name], wanted, rtol=1e-6, atol=1e-6 * float(wanted.abs().max()))


def test_packed_and_padded_batches_have_the_same_gradient(tmp_path, whole, monkeypatch):
    monkeypatch.setattr("bakery.engine.session.try_shortcuts_on", _only_plain)
    found = _gradient(tmp_path, per_device_train_batch_size=8)
    for name, wanted in whole.items():
        torch.testing.assert_close(found[name], wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))


def _only_plain(model, condition, rows, prefixes):
    from bakery.engine.distill.forward import Shortcuts
    from bakery.engine.model.lm_head import read_head

    return Shortcuts(packed=False, prefix=False, head=read_head(model))


def test_the_loss_starts_at_the_divergence_that_evaluation_measures(tmp_path):
    rows = create_dataset(QUESTIONS, ANSWERS)
    trainer = make_trainer(tmp_path, eval_dataset=rows, per_device_train_batch_size=8, max_steps=1)
    before = trainer.evaluate()
    trainer.train()
    assert logged(trainer) == pytest.approx([before["eval_loss"]], rel=1e-5)
    assert logged(trainer, "teacher_entropy") == pytest.approx([before["eval_teacher_entropy"]], rel=1e-5)
    assert logged(trainer, "agreement") == pytest.approx([before["eval_agreement"]], abs=1e-6)


def test_an_anchor_alone_has_no_loss_and_no_gradient(tmp_path):
    anchors = create_dataset(QUESTIONS[:4])
    rows = create_dataset(QUESTIONS[4:], ANSWERS[4:])
    trainer = make_trainer(tmp_path, rows=rows, anchor_dataset=anchors, num_trajectories=1, num_train_epochs=1)
    trainer.train()
    first, second = logged(trainer)
    assert first > 0.1
    assert second < first
    assert len(trainer.train_dataset) == 8
