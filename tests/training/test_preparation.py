"""What is done once before the first step: long rows, answers and the teacher's signal, in memory and on disk."""

from types import SimpleNamespace

import pytest

from bakery.engine.distill.teacher import CachedTeacher
from bakery.errors import DataError
from bakery.rows.datasets import create_dataset
from tests.engine_support import QUESTIONS, logged, make_trainer, tokenizer


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
