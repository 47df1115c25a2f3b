"""What is kept in the run folder is found again, never when it is damaged or belongs to something else."""

import random

import pytest
import torch

from bakery.engine.distill.cache import Cache, fingerprint
from bakery.engine.distill.conditions import BAKED, PROMPTED, Condition
from bakery.engine.distill.signals import Moments, States
from bakery.rows.datasets import create_dataset
from tests.engine_support import QUESTIONS, logged, make_trainer, shake, tiny_model

SIGNALS = {
    "states": States(torch.randn(5, 3)),
    "states in half precision": States(torch.randn(5, 3).bfloat16()),
    "moments": Moments(torch.randn(5, 3), torch.rand(5), torch.tensor([7, 2**31, 0, 1, 2])),
}
DAMAGES = {
    "empty": lambda content: b"",
    "cut": lambda content: content[: len(content) // 2],
    "cut in its first bytes": lambda content: content[:5],
    "random": lambda content: random.Random(0).randbytes(len(content)),
    "another file": lambda content: b"[" * 20_000,
    "no checksum": lambda content: b'{"rows": []}',
}


@pytest.mark.parametrize("signal", SIGNALS.values(), ids=SIGNALS)
def test_a_signal_comes_back_bit_for_bit(tmp_path, signal):
    cache = Cache(tmp_path, "model", pytest.fail)
    key = cache.key("rows", [1, 2])
    assert cache.read_signal(key) is None
    cache.write_signal(key, signal)
    again = cache.read_signal(key)
    assert type(again) is type(signal)
    assert all(torch.equal(again.columns[name], column) for name, column in signal.columns.items())


def test_answers_come_back(tmp_path):
    cache = Cache(tmp_path, "model", pytest.fail)
    assert cache.read_answers("k") is None
    cache.write_answers("k", [[0, 1, [5, 6], True]])
    assert cache.read_answers("k") == [[0, 1, [5, 6], True]]


@pytest.fixture(params=["signal", "answers"])
def stored(request, tmp_path):
    """A file of the cache, its content, what reads it, and the lines that are said meanwhile."""
    said = []
    cache = Cache(tmp_path / "cache", "model", said.append)
    if request.param == "signal":
        cache.write_signal("k", SIGNALS["moments"])
    else:
        cache.write_answers("k", [[0, 1, [5, 6], True]])
    (path,) = (tmp_path / "cache").iterdir()
    read = cache.read_signal if request.param == "signal" else cache.read_answers
    return path, path.read_bytes(), lambda: read("k"), said


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_removed_with_one_line(stored, damage):
    path, content, read, said = stored
    path.write_bytes(damage(content))
    assert read() is None
    assert read() is None
    assert said == [f"  note: {path} is damaged; what it held is computed again"]
    assert not path.exists()


def test_no_flipped_bit_changes_what_is_read(stored):
    path, content, read, _ = stored
    whole = read()
    for number in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[number // 8] ^= 1 << number % 8
        path.write_bytes(flipped)
        again = read()
        assert again is None or _same(again, whole), number


def _same(one, other):
    if isinstance(one, list):
        return one == other
    return all(torch.equal(one.columns[name], column) for name, column in other.columns.items())


def test_the_fingerprint_is_that_of_the_base_and_of_the_conditions_adapters(tmp_path):
    model = tiny_model()
    teacher, earlier = fingerprint(model, PROMPTED), fingerprint(model, BAKED)
    assert teacher != earlier
    assert fingerprint(model, Condition(BAKED.adapters, prompted=True).at(0.5)) != earlier
    shake(model)
    assert fingerprint(model, PROMPTED) == teacher
    assert fingerprint(model, BAKED) != earlier
    model.base_model.model.model.layers[0].mlp.up_proj.base_layer.weight.data[0, 0] += 1
    assert fingerprint(model, PROMPTED) != teacher
    assert Cache(tmp_path, "a").key(1) != Cache(tmp_path, "b").key(1)


def test_a_second_run_samples_nothing_and_asks_no_teacher(tmp_path, monkeypatch):
    def run():
        trainer = make_trainer(tmp_path, rows=create_dataset(QUESTIONS), num_trajectories=2, max_steps=2)
        trainer.train()
        return logged(trainer)

    first = run()
    monkeypatch.setattr("bakery.engine.distill.samplers.local.LocalSampler.sample", None)
    monkeypatch.setattr("bakery.engine.distill.teacher.LiveTeacher.compute", None)
    assert run() == first
    monkeypatch.undo()
    for path in (tmp_path / "_cache").iterdir():
        path.write_bytes(b"broken")
    assert run() == first
