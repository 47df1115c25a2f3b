"""The trainer: the open loop's losses, one gradient whatever the batches, no step on anything that is not finite."""

from types import SimpleNamespace

import pytest
import torch
from transformers import TrainerCallback

from bakery.engine.distill.batches import prompt_baking_collator
from bakery.engine.distill.teacher import CachedTeacher
from bakery.errors import DataError, NumericError
from bakery.rows.datasets import create_dataset
from tests.engine_support import (
    ANSWERS,
    QUESTIONS,
    adapter_weights,
    bake_loop,
    logged,
    loop_rows,
    make_trainer,
    tiny_model,
    tokenizer,
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
    pairs = [*trainer.views.pairs, *(pair for _, pairs in trainer.trajectories for pair in pairs)]
    wanted = list(bake_loop.bake(tiny_model(), loop_rows(pairs), epochs=3, batch_size=4, learning_rate=2e-3))
    found = logged(trainer)
    assert len(found) == len(wanted) == 6
    assert found == pytest.approx(wanted, rel=1e-5, abs=1e-6)
    assert found[-1] < 0.9 * found[0]


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


def test_a_row_without_targets_is_refused_by_the_collator():
    row = {"row": 0, "input_ids": [5, 6, 7], "targets": [1, 2]}
    found = prompt_baking_collator([row, {**row, "row": 1, "targets": [2]}])
    assert found["input_ids"].tolist() == [[5, 6, 7, 5, 6, 7]]
    assert found["position_ids"].tolist() == [[0, 1, 2, 0, 1, 2]]
    assert found["predicting"].tolist() == [0, 1, 4]
    assert found["labels"].tolist() == [6, 7, 7]
    with pytest.raises(ValueError, match="without targets"):
        prompt_baking_collator([row, {**row, "targets": []}])


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


def test_a_stream_is_refused(tmp_path):
    import datasets

    stream = datasets.Dataset.from_list([{"prompt": "Hi", "response": "Ahoy"}]).to_iterable_dataset()
    with pytest.raises(DataError, match="stream"):
        make_trainer(tmp_path, rows=stream)


def test_long_rows_are_refused_or_counted(tmp_path):
    lengths = [len(pair.teacher_ids) for pair in make_trainer(tmp_path).views.pairs]
    with pytest.raises(DataError, match="max_seq_length"):
        make_trainer(tmp_path, max_seq_length=max(lengths) - 1).prepare()
    skipping = make_trainer(tmp_path, max_seq_length=max(lengths) - 1, on_long_row="skip")
    skipping.prepare()
    assert len(skipping.train_dataset) == sum(length < max(lengths) for length in lengths)
    with pytest.raises(DataError, match="nothing is left"):
        make_trainer(tmp_path, max_seq_length=5, on_long_row="skip").prepare()
    assert tokenizer().eos_token_id in skipping.train_dataset[0]["input_ids"]


@pytest.mark.parametrize(("teacher", "kept"), [("auto", False), ("cached", True)])
def test_a_teacher_that_the_disk_has_no_room_for_is_asked_at_every_step(tmp_path, monkeypatch, teacher, kept):
    said: list[str] = []

    def losses(name):
        trainer = make_trainer(tmp_path / name, logging_steps=1, teacher=teacher)
        trainer.progress.say = said.append
        trainer.train()
        return logged(trainer), isinstance(trainer._teacher, CachedTeacher)

    wanted, first = losses("room")
    assert first
    assert not any("has room" in line for line in said)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=100))
    found, again = losses("no room")
    assert again == kept
    assert found == pytest.approx(wanted, rel=1e-5)
    assert any("has room for 0.0 GiB" in line for line in said) == (not kept)


def test_what_a_stopped_run_has_kept_needs_no_room_again(tmp_path, monkeypatch):
    make_trainer(tmp_path).prepare()
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=0))
    again = make_trainer(tmp_path)
    monkeypatch.setattr("bakery.training.preparation._SHARE_OF_DISK", 1.0)
    again.prepare()
    assert isinstance(again._teacher, CachedTeacher)


def test_states_too_large_to_hold_while_sampling_are_asked_for_afterwards(tmp_path, monkeypatch):
    def losses(name):
        trainer = make_trainer(tmp_path / name, rows=create_dataset(QUESTIONS), logging_steps=1)
        trainer.train()
        return logged(trainer), {spent.stage for spent in trainer.progress.spent()}

    kept, stages = losses("kept")
    assert "teacher" not in stages
    monkeypatch.setattr("bakery.training.preparation._MOST_BYTES", 0)
    asked, stages = losses("asked")
    assert "teacher" in stages
    assert asked == pytest.approx(kept, rel=1e-5)
