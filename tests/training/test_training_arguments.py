"""What a user of transformers would try works: every such setting on a bake of a few steps, on a tiny random model."""

import copy
import json
from datetime import datetime
from pathlib import Path

import pytest
import torch
from transformers import EarlyStoppingCallback, TrainerCallback

from bakery.rows.datasets import create_dataset
from tests.engine_support import (
    ANSWERS,
    QUESTIONS,
    adapter_weights,
    logged,
    make_trainer,
    shake,
    tiny_model,
    tokenizer,
)

VALIDATION = create_dataset(QUESTIONS[:4], ANSWERS[4:])


def _rates(trainer) -> list[float]:
    return logged(trainer, "learning_rate")


# ---- the loop ----


def test_max_steps_wins_over_epochs(tmp_path):
    trainer = make_trainer(tmp_path, max_steps=3, num_train_epochs=50)
    assert trainer.train().global_step == 3
    assert len(logged(trainer)) == 3


def test_accumulation_takes_fewer_steps_over_the_same_rows(tmp_path):
    trainer = make_trainer(tmp_path, per_device_train_batch_size=2, gradient_accumulation_steps=2, num_train_epochs=2)
    assert trainer.train().global_step == 4


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("constant", [1.0, 1.0, 1.0, 1.0]),
        ("linear", [1.0, 0.75, 0.5, 0.25]),
        ("cosine", [1.0, 0.854, 0.5, 0.146]),
        ("constant_with_warmup", [1 / 3, 2 / 3, 1.0, 1.0]),
    ],
)
def test_schedulers(tmp_path, name, wanted):
    warmup = 2 if name == "constant_with_warmup" else 0
    trainer = make_trainer(tmp_path, num_train_epochs=2, lr_scheduler_type=name, warmup_steps=warmup, learning_rate=1.0)
    trainer.create_optimizer_and_scheduler(4)
    rates = []
    for _ in range(4):
        rates.append(trainer.lr_scheduler.get_last_lr()[0])
        trainer.optimizer.step()
        trainer.lr_scheduler.step()
    assert rates == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("name", ["adamw_torch", "sgd", "adafactor", "rmsprop"])
def test_optimisers_lower_the_loss(tmp_path, name):
    rate = {"sgd": 0.1, "adafactor": 1e-2}.get(name, 2e-3)
    trainer = make_trainer(tmp_path, optim=name, learning_rate=rate, num_train_epochs=4, per_device_train_batch_size=8)
    trainer.train()
    assert logged(trainer)[-1] < logged(trainer)[0]


def test_an_optimiser_of_ones_own(tmp_path):
    model = tiny_model()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    trainer = make_trainer(tmp_path, model=model, max_steps=2, optimizers=(optimizer, None))
    trainer.train()
    assert trainer.optimizer.optimizer is optimizer


def test_the_seed_decides_the_order_of_the_rows(tmp_path):
    def losses(**changes):
        trainer = make_trainer(tmp_path, train_sampling_strategy="random", num_train_epochs=2, **changes)
        trainer.train()
        return logged(trainer)

    once = losses(seed=1)
    assert losses(seed=1) == once
    assert losses(seed=2) != once
    assert losses(seed=1, data_seed=5) != once


def test_grouping_rows_by_length(tmp_path):
    trainer = make_trainer(tmp_path, train_sampling_strategy="group_by_length", num_train_epochs=1)
    assert trainer.train().global_step == 2


def test_callbacks_are_heard_and_may_stop_the_run(tmp_path):
    heard = []

    class Stop(TrainerCallback):
        def on_log(self, args, state, control, logs=None, **_):
            heard.append("log" if "loss" in logs else "end")

        def on_step_end(self, args, state, control, **_):
            control.should_training_stop = state.global_step == 2

    trainer = make_trainer(tmp_path, callbacks=[Stop()], num_train_epochs=10)
    assert trainer.train().global_step == 2
    assert heard == ["log", "log", "end"]


# ---- numbers ----


def test_bfloat16_autocast_stays_near_float32(tmp_path):
    full, half = (make_trainer(tmp_path, num_train_epochs=2, bf16=bf16) for bf16 in (False, True))
    full.train()
    half.train()
    assert logged(half) == pytest.approx(logged(full), rel=0.05)
    assert all(p.dtype == torch.float32 for p in half.model.parameters())


def test_a_bfloat16_model_trains(tmp_path):
    trainer = make_trainer(tmp_path, model=tiny_model(torch.bfloat16), num_train_epochs=4, learning_rate=5e-3)
    trainer.train()
    assert logged(trainer)[-1] < logged(trainer)[0]


@pytest.mark.parametrize("name", ["activation_checkpointing", "gradient_checkpointing"])
@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")
def test_checkpointed_activations_change_no_loss(tmp_path, name):
    plain, saving = (make_trainer(tmp_path, num_train_epochs=2, **more) for more in ({}, {name: True}))
    plain.train()
    saving.train()
    assert logged(saving) == pytest.approx(logged(plain), rel=1e-6)


# ---- evaluation ----


class _Spoil(TrainerCallback):
    """Makes the adapter worse than it was at the beginning, from one step on."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_begin(self, args, state, control, model=None, **_):
        if state.global_step >= self.step:
            shake(model)


def test_the_best_adapter_is_the_one_that_is_left(tmp_path):
    trainer = make_trainer(
        tmp_path,
        eval_dataset=VALIDATION,
        eval_strategy="steps",
        eval_steps=1,
        save_strategy="steps",
        save_steps=1,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        num_train_epochs=3,
        callbacks=[_Spoil(4)],
    )
    trainer.train()
    seen = logged(trainer, "eval_loss")
    best = min(seen)
    assert seen[-1] > best
    assert trainer.state.best_metric == best
    assert trainer.evaluate()["eval_loss"] == pytest.approx(best, rel=1e-6)


def test_patience_ends_a_bake_that_learns_no_more(tmp_path):
    trainer = make_trainer(
        tmp_path,
        eval_dataset=VALIDATION,
        eval_strategy="steps",
        eval_steps=1,
        save_strategy="steps",
        save_steps=1,
        load_best_model_at_end=True,
        num_train_epochs=20,
        learning_rate=0.3,
        callbacks=[EarlyStoppingCallback(early_stopping_patience=2)],
    )
    assert trainer.train().global_step < 40


def test_evaluation_by_epoch_and_at_the_start(tmp_path):
    trainer = make_trainer(
        tmp_path, eval_dataset=VALIDATION, eval_strategy="epoch", eval_on_start=True, num_train_epochs=2
    )
    trainer.train()
    assert len(logged(trainer, "eval_loss")) == 3


# ---- checkpoints ----


def _checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("checkpoint-*"))


def test_no_more_checkpoints_are_kept_than_asked_for(tmp_path):
    trainer = make_trainer(tmp_path, save_strategy="steps", save_steps=1, save_total_limit=2, num_train_epochs=3)
    trainer.train()
    assert _checkpoints(tmp_path) == ["checkpoint-5", "checkpoint-6"]


class _Killed(Exception):
    """Stands for a process that dies."""


class _Kill(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_begin(self, args, state, control, **_):
        if state.global_step == self.step:
            raise _Killed


LONG = {
    "num_train_epochs": 3,
    "save_strategy": "steps",
    "save_steps": 2,
    "save_total_limit": None,
    "train_sampling_strategy": "random",
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 2,
    "num_trajectories": 1,
}


def _long(folder, *, dropout: float = 0.0, **changes):
    from bakery.engine.model.loading import attach_adapter
    from bakery.settings.config import LoraConfig
    from tests.engine_support import tiny_base

    model = attach_adapter(tiny_base(), LoraConfig(r=4, lora_dropout=dropout))
    return make_trainer(folder, model=model, rows=create_dataset(QUESTIONS), **{**LONG, **changes})


@pytest.mark.parametrize("killed_at", [2, 3, 5])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_a_run_that_was_killed_ends_like_one_that_was_not(tmp_path, killed_at, dropout):
    whole = _long(tmp_path / "whole", dropout=dropout)
    whole.train()
    with pytest.raises(_Killed):
        _long(tmp_path / "killed", dropout=dropout, callbacks=[_Kill(killed_at)]).train()
    resumed = _long(tmp_path / "killed", dropout=dropout)
    shake(resumed.model)  # whatever it starts with
    resumed.train(resume_from_checkpoint=True)
    wanted, found = adapter_weights(whole.model), adapter_weights(resumed.model)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert logged(resumed)[-1] == logged(whole)[-1]


def test_who_resumes_from_python_gets_the_date_of_the_bake_too(tmp_path):
    begun, later = datetime(2026, 11, 22), datetime(2026, 11, 23)
    dated = copy.deepcopy(tokenizer())
    dated.chat_template = "{{ strftime_now('%d %b %Y') }}" + dated.chat_template
    with pytest.raises(_Killed):
        make_trainer(tmp_path, processing_class=dated, today=begun, callbacks=[_Kill(3)], **LONG).train()
    resumed = make_trainer(tmp_path, processing_class=dated, today=later, **LONG)
    resumed.prepare()
    views = [pair["input_ids"] for pair in resumed.train_dataset]
    resumed.train(resume_from_checkpoint=True)
    assert resumed.session.builder.renderer.today == begun
    assert views != [pair["input_ids"] for pair in resumed.train_dataset]


def test_a_checkpoint_that_was_cut_short_is_passed_over(tmp_path):
    whole = _long(tmp_path / "whole")
    whole.train()
    with pytest.raises(_Killed):
        _long(tmp_path / "killed", callbacks=[_Kill(5)]).train()
    newest = tmp_path / "killed" / "checkpoint-4"
    (newest / "trainer_state.json").write_text('{"best_gl')
    resumed = _long(tmp_path / "killed")
    resumed.train(resume_from_checkpoint=True)
    assert logged(resumed) == logged(whole)
    for step in (4, 6):
        (tmp_path / "killed" / f"checkpoint-{step}" / "adapter_model.safetensors").unlink()
    again = _long(tmp_path / "killed")
    again.train(resume_from_checkpoint=True)
    assert logged(again) == logged(whole)


def test_there_is_nothing_to_resume(tmp_path):
    from bakery.errors import BakeryError

    with pytest.raises(BakeryError, match="no whole checkpoint"):
        make_trainer(tmp_path).train(resume_from_checkpoint=True)
    with pytest.raises(BakeryError, match="no-such-folder"):
        make_trainer(tmp_path).train(resume_from_checkpoint=str(tmp_path / "no-such-folder"))


def test_checkpoints_and_the_final_folder_load_as_adapters(tmp_path):
    from bakery.engine.model.loading import load_adapter
    from tests.engine_support import tiny_base

    trainer = make_trainer(tmp_path, save_strategy="epoch")
    trainer.train()
    trainer.save_model()
    for folder in (tmp_path, tmp_path / "checkpoint-2"):
        loaded = load_adapter(tiny_base(), folder)
        for name, weight in adapter_weights(trainer.model).items():
            assert torch.equal(dict(loaded.named_parameters())[name], weight)
        assert (folder / "tokenizer.json").is_file()


# ---- trackers ----


def test_tensorboard_gets_the_loss_and_what_belongs_to_it(tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "board"))
    trainer = make_trainer(
        tmp_path, report_to="tensorboard", eval_dataset=VALIDATION, eval_strategy="epoch", num_train_epochs=2
    )
    trainer.train()
    board = EventAccumulator(str(tmp_path / "board"))
    board.Reload()
    tags = set(board.Tags()["scalars"])
    assert {"train/loss", "train/agreement", "train/teacher_entropy", "eval/loss", "train/learning_rate"} <= tags
    assert [event.value for event in board.Scalars("train/loss")] == pytest.approx(logged(trainer), rel=1e-5)


def test_the_state_is_written_with_every_checkpoint(tmp_path):
    make_trainer(tmp_path, save_strategy="epoch").train()
    state = json.loads((tmp_path / "checkpoint-2" / "trainer_state.json").read_text())
    assert state["global_step"] == 2
    assert all("agreement" in entry for entry in state["log_history"] if "loss" in entry)


def test_rows_may_be_given_to_evaluate_and_a_dictionary_of_them(tmp_path):
    trainer = make_trainer(tmp_path)
    one = trainer.evaluate(VALIDATION)["eval_loss"]
    found = trainer.evaluate({"mine": VALIDATION, "other": create_dataset(QUESTIONS, ANSWERS)})
    assert found["eval_mine_loss"] == pytest.approx(one)
    assert found["eval_other_loss"] != found["eval_mine_loss"]
    assert tokenizer().pad_token_id is not None
