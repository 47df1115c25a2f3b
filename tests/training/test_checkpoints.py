"""A stopped run goes on from its newest complete checkpoint, or is told why it cannot."""

import pytest

from bakery.errors import ConfigError
from bakery.training.checkpoints import checkpoint_to_resume

FILES = ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt")


def _checkpoint(folder, step, *, without=None, state="{}"):
    path = folder / f"checkpoint-{step}"
    path.mkdir()
    for name in FILES:
        if name != without:
            (path / name).touch()
    if without != "trainer_state.json":
        (path / "trainer_state.json").write_text(state)
    return path


@pytest.mark.parametrize("wanted", [None, False, ""])
def test_nothing_is_resumed_unless_asked_for(wanted, tmp_path):
    _checkpoint(tmp_path, 5)
    assert checkpoint_to_resume(wanted, tmp_path) is None


def test_the_newest_is_that_of_the_most_steps_and_not_of_the_alphabet(tmp_path):
    for step in (5, 10, 9, "last"):
        _checkpoint(tmp_path, step)
    assert checkpoint_to_resume(True, tmp_path) == str(tmp_path / "checkpoint-10")


@pytest.mark.parametrize("missing", [*FILES, "trainer_state.json"])
def test_one_that_was_cut_short_is_passed_over_and_refused_when_named(missing, tmp_path):
    whole, cut = _checkpoint(tmp_path, 5), _checkpoint(tmp_path, 10, without=missing)
    assert checkpoint_to_resume(True, tmp_path) == str(whole)
    assert checkpoint_to_resume(str(whole), tmp_path) == str(whole)
    with pytest.raises(ConfigError, match=rf"^resume_from_checkpoint: .*checkpoint-10 is not a complete .*{missing}"):
        checkpoint_to_resume(str(cut), tmp_path)


def test_a_state_file_that_was_cut_in_the_middle_counts_as_missing(tmp_path):
    _checkpoint(tmp_path, 5, state='{"global_step": ')
    with pytest.raises(ConfigError, match=r"holds no complete checkpoint; the newest, checkpoint-5, is not a complete"):
        checkpoint_to_resume(True, tmp_path)


def test_without_any_checkpoint_one_line_says_so(tmp_path):
    with pytest.raises(ConfigError, match=r"holds no complete checkpoint; start without it$"):
        checkpoint_to_resume(True, tmp_path)
