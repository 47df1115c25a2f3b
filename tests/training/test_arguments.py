"""What settings leave open is decided by the model and its rows; what they say stays."""

import pytest

from bakery.rows.datasets import create_dataset
from bakery.settings.arguments import BakeryConfig
from bakery.training.arguments import settled
from bakery.training.bake_rows import bake_rows
from bakery.training.schedule import learning_rate_of
from tests.engine_support import ANSWERS, QUESTIONS, logged, make_trainer, settings

ASKED = bake_rows(create_dataset(QUESTIONS), None, None).train
ANSWERED = bake_rows(create_dataset(QUESTIONS, ANSWERS), None, None).train


def open_settings(folder, **changes) -> BakeryConfig:
    """Settings that do not say how long to train."""
    return settings(folder, num_train_epochs=None, **changes)


def test_the_learning_rate_follows_the_width_unless_it_is_given(tmp_path):
    assert settled(settings(tmp_path), 512, ANSWERED).learning_rate == learning_rate_of(512)
    assert settled(settings(tmp_path, learning_rate=3e-5), 512, ANSWERED).learning_rate == 3e-5


def test_the_settings_that_were_given_are_not_changed(tmp_path):
    given = open_settings(tmp_path, patience=2)
    before = dict(vars(given))
    settled(given, 64, ASKED)
    assert vars(given) == before


@pytest.mark.parametrize("length", [{"num_train_epochs": 2}, {"num_train_epochs": None, "max_steps": 7}])
def test_a_length_that_is_given_stays(tmp_path, length):
    given = settings(tmp_path, **length)
    assert not given.open_ended
    made = settled(given, 64, ASKED)
    assert made.max_steps == given.max_steps
    assert made.num_train_epochs == (given.num_train_epochs or made.num_train_epochs)


def test_an_open_length_has_an_end_that_grows_with_what_is_read(tmp_path):
    def most(rows, **changes):
        return settled(open_settings(tmp_path, **changes), 64, rows).max_steps

    assert most(ANSWERED) > 0
    assert most(ASKED, num_trajectories=1) == most(ANSWERED), "one answer each is as many rows"
    assert most(ASKED, num_trajectories=4) == 4 * most(ANSWERED)
    assert 2 * most(ANSWERED, gradient_accumulation_steps=2) == most(ANSWERED)
    assert most(ANSWERED * 10**6) < 10**5


@pytest.mark.parametrize("reason", [{"target_divergence": 0.1}, {"patience": 2}])
def test_a_bake_that_may_stop_early_measures_even_if_nothing_says_when(tmp_path, reason):
    plain, eager = (settled(settings(tmp_path, **why), 64, ANSWERED) for why in ({}, reason))
    assert (plain.stops_early, plain.eval_strategy) == (False, "no")
    assert (eager.stops_early, eager.eval_strategy) == (True, "steps")
    assert 0 < eager.eval_steps < 1


@pytest.mark.parametrize("asked", [{"eval_strategy": "epoch"}, {"eval_strategy": "steps", "eval_steps": 3}])
def test_a_schedule_of_measurements_that_was_asked_for_stays(tmp_path, asked):
    made = settled(settings(tmp_path, patience=1, **asked), 64, ANSWERED)
    assert {name: getattr(made, name) for name in asked} == asked


def test_a_bake_without_a_length_measures_from_its_first_step_and_ends(tmp_path):
    rows = create_dataset(QUESTIONS[:2], ANSWERS[:2])
    trainer = make_trainer(tmp_path, rows=rows, eval_dataset=rows, num_train_epochs=None)
    trainer.train()
    assert trainer.until_done.ended in ("done", "steps")
    measured = logged(trainer, "eval_loss")
    assert len(measured) >= 3
    assert measured[-1] < measured[0]
    assert all(rate > 0 for rate in logged(trainer, "learning_rate"))
    assert logged(trainer, "learning_rate")[-1] < 0.5 * max(logged(trainer, "learning_rate"))


def test_the_first_step_of_a_bake_of_one_step_moves_the_adapter(tmp_path):
    trainer = make_trainer(tmp_path, max_steps=1)
    trainer.train()
    assert logged(trainer, "learning_rate")[0] > 0
    assert any(bool(p.any()) for name, p in trainer.model.named_parameters() if "lora_B" in name)
