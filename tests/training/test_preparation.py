"""What is done once before the first step: long rows, answers and the teacher's signal, in memory and on disk."""

from types import SimpleNamespace

import pytest

from bakery.engine.distill.teacher import CachedTeacher
from bakery.errors import DataError
from bakery.rows.datasets import create_dataset
from bakery.settings.config import ContextConfig
from tests.engine_support import PREFIX, QUESTIONS, logged, make_trainer, thinking_tokenizer, tokenizer


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


def _thinking(folder, *, target_thinking=True, kwargs=None, **changes):
    """A trainer of prompts on a template that opens thoughts, with what it said."""
    context = ContextConfig(prefix_messages=PREFIX, target_thinking=target_thinking, chat_template_kwargs=kwargs)
    rows = create_dataset(QUESTIONS)
    tokens = thinking_tokenizer()
    trainer = make_trainer(folder, rows=rows, processing_class=tokens, context=context, num_trajectories=2, **changes)
    said: list[str] = []
    trainer.progress.say = said.append
    return trainer, said


@pytest.mark.parametrize("target_thinking", [True, False])
def test_what_was_put_in_behind_thoughts_is_context_in_both_views_and_the_answer_is_learned(tmp_path, target_thinking):
    trainer, said = _thinking(tmp_path, target_thinking=target_thinking, thinking_length=5)
    trainer.prepare()
    closing = trainer.session.builder.thinking.closing
    answers = [answer for _, own in trainer.trajectories for answer in own]
    assert all(answer.trajectory.forced == range(5, 5 + len(closing)) for answer in answers)
    for answer in answers:
        ids, pair = answer.trajectory.ids, answer.pair
        learned = ids[5 + len(closing) :]
        assert ids[5 : 5 + len(closing)] == closing
        assert len(learned) <= 8
        for view, targets, prompt in (
            (pair.teacher_ids, pair.teacher_targets, answer.prompt.teacher_ids),
            (pair.student_ids, pair.student_targets, answer.prompt.student_ids),
        ):
            assert view == [*prompt, *ids]
            assert [view[at] for at in targets] == [*(ids[:5] if target_thinking else ()), *learned]
    assert not any("thoughts" in line for line in said)
    trainer.train()


@pytest.mark.parametrize("target_thinking", [True, False])
def test_the_signal_of_bounded_thoughts_is_that_of_a_teacher_who_reads_them(tmp_path, monkeypatch, target_thinking):
    def losses(name):
        trainer, _ = _thinking(tmp_path / name, target_thinking=target_thinking, thinking_length=3)
        trainer.train()
        return logged(trainer), {spent.stage for spent in trainer.progress.spent()}

    recorded, stages = losses("recorded")
    assert "teacher" not in stages
    monkeypatch.setattr("bakery.training.preparation._MOST_BYTES", 0)
    asked, stages = losses("asked")
    assert "teacher" in stages
    assert asked == pytest.approx(recorded, rel=1e-5)


def test_bounded_answers_of_a_stopped_run_are_taken_over_with_what_was_put_in(tmp_path):
    first, _ = _thinking(tmp_path, thinking_length=5)
    first.prepare()
    again, said = _thinking(tmp_path, thinking_length=5)
    again.prepare()
    assert any("taken over" in line for line in said)
    assert again.pairs == first.pairs
    assert [one.trajectory for _, own in again.trajectories for one in own] == [
        one.trajectory for _, own in first.trajectories for one in own
    ]
    other, said = _thinking(tmp_path, thinking_length=6)
    other.prepare()
    assert not any("taken over" in line for line in said)


def test_most_answers_cut_in_their_thoughts_are_warned_of(tmp_path):
    trainer, said = _thinking(tmp_path)
    trainer.prepare()
    (warning,) = [line for line in said if "warning" in line]
    assert "were cut in their thoughts at trajectory_length 8" in warning
    assert '{"enable_thinking": false}' in warning
    early, said = _thinking(tmp_path / "early", token_budget=64)
    early.prepare()
    (warning,) = [line for line in said if "warning" in line]
    assert 8 <= int(warning.split(" of ")[1].split()[0]) < 16, "it is said before all are sampled"
    off, said = _thinking(tmp_path / "off", kwargs={"enable_thinking": False}, thinking_length=4)
    off.prepare()
    assert not any("warning" in line for line in said)
    assert any("thinking_length has no effect" in line for line in said)


def test_answers_without_an_end_of_their_thoughts_are_left_out_and_all_of_them_are_refused(tmp_path, monkeypatch):
    trainer, _ = _thinking(tmp_path, target_thinking=False)
    with pytest.raises(DataError, match=r"16 of 16 sampled answers did not get out .*set thinking_length"):
        trainer.prepare()
    trainer, said = _thinking(tmp_path, target_thinking=False)
    learned_of = type(trainer.session.builder).learned_of
    monkeypatch.setattr(
        type(trainer.session.builder),
        "learned_of",
        lambda self, ids, forced: list(range(len(ids))) if ids[0] % 2 else learned_of(self, ids, forced),
    )
    trainer.prepare()
    odd = sum(one.trajectory.ids[0] % 2 for _, own in trainer.trajectories for one in own)
    assert 0 < odd == len(trainer.pairs) < 16
    assert any(f"{16 - odd} of 16 sampled answers did not get out" in line for line in said)
