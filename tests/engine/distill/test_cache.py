"""What is kept in the run folder is found again, never when it is damaged or belongs to something else."""

import pytest
import torch

from bakery.engine.distill.cache import Cache, fingerprint
from bakery.engine.distill.conditions import BAKED, PROMPTED, Condition
from bakery.engine.distill.signals import Moments, States
from bakery.rows.datasets import create_dataset
from tests.engine_support import QUESTIONS, logged, make_trainer, shake, tiny_model


@pytest.mark.parametrize(
    "signal",
    [
        States(torch.randn(5, 3)),
        States(torch.randn(5, 3).bfloat16()),
        Moments(torch.randn(5, 3), torch.rand(5), torch.tensor([7, 2**31, 0, 1, 2])),
    ],
    ids=["states", "states in half precision", "moments"],
)
def test_a_signal_comes_back_bit_for_bit_and_not_when_damaged(tmp_path, signal):
    cache = Cache(tmp_path, "model")
    key = cache.key("rows", [1, 2])
    assert cache.read_signal(key) is None
    cache.write_signal(key, signal)
    again = cache.read_signal(key)
    assert type(again) is type(signal)
    assert all(torch.equal(again.columns[name], column) for name, column in signal.columns.items())
    (path,) = tmp_path.glob("teacher-*")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert cache.read_signal(key) is None
    path.write_bytes(content[:40])
    assert cache.read_signal(key) is None


def test_answers_come_back_and_not_when_cut_short(tmp_path):
    cache = Cache(tmp_path, "model")
    cache.write_answers("k", [[0, 1, [5, 6], True]])
    assert cache.read_answers("k") == [[0, 1, [5, 6], True]]
    (path,) = tmp_path.glob("answers-*")
    path.write_text(path.read_text().replace("5", "7"))
    assert cache.read_answers("k") is None
    path.write_text("{")
    assert cache.read_answers("k") is None


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
