"""A stopped run goes on from its newest whole checkpoint, or is told why it cannot."""

import json
import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback

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


def _changed(path, change):
    content = torch.load(path, weights_only=False)  # it was written here
    changed = change(content)
    torch.save(content if changed is None else changed, path)


def _moments(change):
    """What changes every moment of an optimiser's file."""

    def changed(content):
        for state in content["state"].values():
            state.update(change(state))

    return changed


FOREIGN = {
    "moments of other shapes": ("optimizer.pt", _moments(lambda state: {"exp_avg": torch.zeros(7, 3)})),
    "moments that are not finite": ("optimizer.pt", _moments(lambda state: {"exp_avg": state["exp_avg"] * torch.nan})),
    "moments of another kind": ("optimizer.pt", lambda content: {**content, "state": {
        number: {"momentum_buffer": state["exp_avg"]} for number, state in content["state"].items()}}),
    "no moments": ("optimizer.pt", lambda content: {**content, "state": {}}),
    "fewer parameters": ("optimizer.pt", lambda content: {**content, "param_groups": [
        {**group, "params": group["params"][1:]} for group in content["param_groups"]]}),
    "a rate that is no number": ("optimizer.pt", lambda content: {**content, "param_groups": [
        {**group, "lr": "fast"} for group in content["param_groups"]]}),
    "an infinite rate": ("optimizer.pt", lambda content: {**content, "param_groups": [
        {**group, "lr": float("inf")} for group in content["param_groups"]]}),
    "two groups": ("optimizer.pt", lambda content: {**content, "param_groups": content["param_groups"] * 2}),
    "a step that is a word": ("scheduler.pt", lambda content: {**content, "last_epoch": "four"}),
    "rates of other groups": ("scheduler.pt", lambda content: {**content, "base_lrs": [1.0] * 3}),
    "a method": ("scheduler.pt", lambda content: {**content, "step": 3}),
    "no schedule": ("scheduler.pt", lambda content: {"last_epoch": 4}),
    "a generator of another size": ("rng_state.pth", lambda content: {**content, "cpu": content["cpu"][:-8]}),
    "a generator of numbers": ("rng_state.pth", lambda content: {**content, "cpu": content["cpu"].float()}),
    "a generator of Python cut": ("rng_state.pth", lambda content: {**content, "python": (3, (1, 2), None)}),
    "no generator": ("rng_state.pth", lambda content: {}),
}  # fmt: skip


@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_state_of_another_training_is_one_line_before_the_first_step(foreign, stopped, tmp_path):
    run = shutil.copytree(stopped, tmp_path / "run")
    (checkpoint,) = checkpoints(run)
    name, change = FOREIGN[foreign]
    _changed(checkpoint / name, change)
    _refused_before_a_step(run, checkpoint, "optimizer.pt or scheduler.pt" if name != "rng_state.pth" else name)


def _refused_before_a_step(run, checkpoint, about):
    """That a trainer refuses the checkpoint in one line, and moves nothing before."""
    write_manifest(checkpoint, about={"training_ended": None, "teacher": "cached"})
    steps = []

    class Steps(TrainerCallback):
        def on_optimizer_step(self, *_, **__):
            steps.append(1)

    again = make_trainer(run, **SAVING, callbacks=[Steps()])
    with pytest.raises(ModelError, match=rf"checkpoint-4 cannot be gone on from: .*{about}") as told:
        again.train(resume_from_checkpoint=True)
    assert len(str(told.value).splitlines()) == 1
    assert steps == []


def _described(**changes):
    def change(folder):
        path = folder / "adapter_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def _weights(change):
    def changed(folder):
        path = folder / "adapter_model.safetensors"
        save_file(change(load_file(path)), path)

    return changed


HOSTILE = {
    "a pattern that backtracks": (_described(target_modules="(a+)+" * 20 + "$"), "target_modules"),
    "a rank beyond all": (_described(r=2**30), "r: "),
    "a rank that is a word": (_described(r="x"), "r: "),
    "no description": (lambda folder: (folder / "adapter_config.json").unlink(), "adapter_config"),
    "weights of other shapes": (_weights(lambda own: {name: one.T.contiguous() for name, one in own.items()}),
                                "does not fit"),
    "weights of other names": (_weights(lambda own: {f"{name}x": one for name, one in own.items()}), "weight"),
    "one weight less": (_weights(lambda own: dict(list(own.items())[1:])), "misses"),
    "one weight more": (_weights(lambda own: {**own, "base_model.model.x.lora_A.weight": torch.ones(4, 4)}), "weight"),
    "weights that are not finite": (_weights(lambda own: {name: one * torch.nan for name, one in own.items()}),
                                    "not finite"),
}  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_adapter_in_a_checkpoint_is_one_line(hostile, stopped, tmp_path):
    run = shutil.copytree(stopped, tmp_path / "run")
    (checkpoint,) = checkpoints(run)
    change, about = HOSTILE[hostile]
    change(checkpoint)
    _refused_before_a_step(run, checkpoint, about)


@pytest.mark.parametrize("name", ["default", "other"])
def test_an_adapter_in_a_folder_of_a_checkpoint_is_not_read(name, stopped, tmp_path):
    whole = make_trainer(tmp_path / "whole", **SAVING)
    whole.train()
    run = shutil.copytree(stopped, tmp_path / "run")
    (checkpoint,) = checkpoints(run)
    inner = checkpoint / name
    inner.mkdir()
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(checkpoint / file, inner / file)
    _described(target_modules="(a+)+" * 20 + "$", r=2**30)(inner)
    _weights(lambda own: {key: one * torch.nan for key, one in own.items()})(inner)
    write_manifest(checkpoint, about={"training_ended": None, "teacher": "cached"})
    again = make_trainer(run, **SAVING)
    again.train(resume_from_checkpoint=True)
    wanted, taken = adapter_weights(whole.model), adapter_weights(again.model)
    assert taken.keys() == wanted.keys()
    assert all(torch.equal(taken[key], wanted[key]) for key in wanted)
