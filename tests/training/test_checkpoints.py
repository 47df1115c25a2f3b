"""A stopped run goes on from its newest whole checkpoint, or is told why it cannot."""

import json
import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch

from bakery.errors import ConfigError, ModelError
from bakery.manifest import MANIFEST, write_manifest
from bakery.training.checkpoints import checkpoint_to_resume, checkpoints, remove_checkpoints
from tests.engine_support import adapter_weights, logged, make_trainer, shake

FILES = {
    "adapter_model.safetensors": b"weights",
    "optimizer.pt": b"moments",
    "trainer_state.json": b"{}",
    "rng_state.pth": b"random",
}


def _checkpoint(folder, step, without=()):
    path = folder / f"checkpoint-{step}"
    path.mkdir()
    for name, content in FILES.items():
        if name not in without:
            (path / name).write_bytes(content)
    write_manifest(path, about={"training_ended": None, "teacher": "cached"})
    return path


def _flipped(content: bytes) -> bytes:
    return bytes([content[0] ^ 1]) + content[1:]


DAMAGE = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: len(path.read_bytes()) // 2]),
    "flipped": lambda path: path.write_bytes(_flipped(path.read_bytes())),
    "random": lambda path: path.write_bytes(b"\x93" * len(path.read_bytes())),
}


@pytest.mark.parametrize("wanted", [None, False, ""])
def test_nothing_is_resumed_unless_asked_for(wanted, tmp_path):
    _checkpoint(tmp_path, 5)
    assert checkpoint_to_resume(wanted, tmp_path) is None


@pytest.mark.parametrize("wanted", [True, "auto"])
def test_the_newest_is_that_of_the_most_steps_and_not_of_the_alphabet(wanted, tmp_path):
    for step in (5, 10, 9, "last"):
        _checkpoint(tmp_path, step)
    newest = checkpoint_to_resume(wanted, tmp_path)
    assert (newest.folder, newest.teacher, newest.passed_over) == (tmp_path / "checkpoint-10", "cached", "")


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_damaged_one_is_passed_over_with_a_word_and_refused_when_named(name, damage, tmp_path):
    whole, broken = _checkpoint(tmp_path, 5), _checkpoint(tmp_path, 10)
    DAMAGE[damage](broken / name)
    chosen = checkpoint_to_resume(True, tmp_path)
    assert chosen.folder == whole
    assert "checkpoint-10" in chosen.passed_over
    assert name in chosen.passed_over
    assert checkpoint_to_resume(str(whole), tmp_path).folder == whole
    with pytest.raises(ConfigError, match=rf"^resume_from_checkpoint: .*checkpoint-10 is .*{name}"):
        checkpoint_to_resume(str(broken), tmp_path)


def test_what_the_save_did_not_write_is_not_read(tmp_path):
    _checkpoint(tmp_path, 5)
    (tmp_path / "checkpoint-5" / "scaler.pt").write_bytes(b"a pickle")
    with pytest.raises(ConfigError, match=r"scaler\.pt was put there later"):
        checkpoint_to_resume(True, tmp_path)


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "optimizer.pt", "trainer_state.json"])
def test_one_that_holds_the_model_alone_is_nothing_to_go_on_from(name, tmp_path):
    _checkpoint(tmp_path, 5, without=(name,))
    with pytest.raises(ConfigError, match=rf"checkpoint-5 cannot be gone on from: it has no {name}"):
        checkpoint_to_resume(True, tmp_path)


def test_without_any_checkpoint_one_line_says_so_and_auto_starts(tmp_path):
    assert checkpoint_to_resume("auto", tmp_path) is None
    with pytest.raises(ConfigError, match=r"holds no whole checkpoint; start without it$"):
        checkpoint_to_resume(True, tmp_path)


def test_all_checkpoints_are_removed_and_nothing_else(tmp_path):
    _checkpoint(tmp_path, 5)
    (tmp_path / "checkpoint-of-mine").mkdir()
    remove_checkpoints(tmp_path)
    assert checkpoints(tmp_path) == []
    assert (tmp_path / "checkpoint-of-mine").is_dir()


SAVING = {"save_strategy": "steps", "save_steps": 2, "max_steps": 5, "num_trajectories": 1}


def test_the_end_is_saved_and_taken_over_without_another_step(tmp_path):
    whole = make_trainer(tmp_path, **SAVING)
    whole.train()
    (newest,) = checkpoints(tmp_path)[:1]
    assert newest.name == "checkpoint-5"
    again = make_trainer(tmp_path, **SAVING)
    shake(again.model)
    again.train(resume_from_checkpoint=True)
    wanted, taken = adapter_weights(whole.model), adapter_weights(again.model)
    assert all(torch.equal(taken[name], wanted[name]) for name in wanted)
    assert again.state.global_step == 5
    assert logged(again) == logged(whole)


def test_an_ended_training_goes_on_where_it_may_last_longer(tmp_path):
    make_trainer(tmp_path, **SAVING).train()
    longer = make_trainer(tmp_path, **{**SAVING, "max_steps": 7})
    longer.train(resume_from_checkpoint=True)
    assert longer.state.global_step == 7


@pytest.mark.parametrize(("limit", "left"), [(None, [5, 4, 2]), (2, [5, 4]), (1, [5])])
def test_older_ones_are_removed_as_far_as_asked(limit, left, tmp_path):
    make_trainer(tmp_path, **SAVING, save_total_limit=limit).train()
    assert [path.name for path in checkpoints(tmp_path)] == [f"checkpoint-{step}" for step in left]
    assert all((path / MANIFEST).is_file() for path in checkpoints(tmp_path))


# ---- files of strangers, which their manifest lists as they are ----


class _Hostile:
    def __reduce__(self):
        return os.system, ("touch canary",)


def _torch_with_a_pickle(path):
    torch.save({"python": _Hostile(), "state": {}}, path)


STRANGE = {
    "pickle": lambda path: path.write_bytes(pickle.dumps(_Hostile())),
    "pickle of torch": _torch_with_a_pickle,
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "random": lambda path: path.write_bytes(bytes(range(255, 0, -1)) * 8),
    "of something else": lambda path: torch.save({"a": torch.ones(2)}, path),
    "a list": lambda path: torch.save([1, "x"], path),
    "nested": lambda path: path.write_bytes(b'{"a":' * 5000),
}
READ = ("rng_state.pth", "optimizer.pt", "scheduler.pt", "scaler.pt", "trainer_state.json", "adapter_model.safetensors")
LIMITS = ("max_steps", "num_train_epochs", "max_minutes", "target_divergence", "patience")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run with one checkpoint, after four of its five steps."""
    folder = tmp_path_factory.mktemp("stopped")
    make_trainer(folder, **SAVING).train()
    for path in checkpoints(folder)[:-1]:
        shutil.rmtree(path)
    return folder


@pytest.mark.parametrize("strange", STRANGE)
@pytest.mark.parametrize("name", READ)
def test_what_a_stranger_wrote_runs_no_code_and_is_one_line(name, strange, stopped, tmp_path, monkeypatch):
    run = shutil.copytree(stopped, tmp_path / "run")
    (checkpoint,) = checkpoints(run)
    shutil.copy(checkpoint / "optimizer.pt", checkpoint / "scaler.pt")
    if name != "scaler.pt":
        (checkpoint / "scaler.pt").unlink()
    STRANGE[strange](checkpoint / name)
    write_manifest(checkpoint, about={"training_ended": None, "teacher": "cached"})
    monkeypatch.chdir(tmp_path)
    again = make_trainer(run, **SAVING)
    with pytest.raises(ModelError, match="checkpoint-4") as told:
        again.train(resume_from_checkpoint=True)
    assert len(str(told.value).splitlines()) == 1
    assert told.value.exit_code == 4
    assert not Path("canary").exists()
    assert os.listdir(tmp_path) == ["run"]


@pytest.mark.parametrize(
    "changes",
    [{"global_step": -1}, {"global_step": "x"}, {"log_history": [1]}, {"best_model_checkpoint": 3}, {"unknown": 1}],
    ids=str,
)
@pytest.mark.parametrize("ended", [True, False])
def test_a_state_that_cannot_be_meant_is_one_line(ended, changes, stopped, tmp_path):
    run = shutil.copytree(stopped, tmp_path / "run")
    (checkpoint,) = checkpoints(run)
    again = make_trainer(run, **SAVING)
    state = json.loads((checkpoint / "trainer_state.json").read_text())
    (checkpoint / "trainer_state.json").write_text(json.dumps({**state, **changes}))
    limits = [getattr(again.args, name) for name in LIMITS]
    write_manifest(checkpoint, about={"training_ended": limits if ended else None, "teacher": "cached"})
    with pytest.raises(ModelError, match=r"checkpoint-4 cannot be gone on from: trainer_state\.json is damaged"):
        again.train(resume_from_checkpoint=True)
