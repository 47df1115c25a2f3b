"""What is kept in the run folder is found again, never when it is damaged or belongs to something else."""

import pytest
import torch

from bakery.engine.distill.cache import Store, fingerprint
from bakery.rows.datasets import create_dataset
from tests.engine_support import QUESTIONS, logged, make_trainer, shake, tiny_model


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_signal_comes_back_bit_for_bit_and_not_when_damaged(tmp_path, dtype):
    store = Store(tmp_path, "model")
    key = store.key("rows", [1, 2])
    signal = torch.randn(5, 3).to(dtype)
    assert store.read_signal(key) is None
    store.write_signal(key, signal)
    assert torch.equal(store.read_signal(key), signal)
    (path,) = tmp_path.glob("teacher-*")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert store.read_signal(key) is None
    path.write_bytes(content[:40])
    assert store.read_signal(key) is None


def test_answers_come_back_and_not_when_cut_short(tmp_path):
    store = Store(tmp_path, "model")
    store.write_answers("k", [[0, 1, [5, 6], True]])
    assert store.read_answers("k") == [[0, 1, [5, 6], True]]
    (path,) = tmp_path.glob("answers-*")
    path.write_text(path.read_text().replace("5", "7"))
    assert store.read_answers("k") is None
    path.write_text("{")
    assert store.read_answers("k") is None


def test_the_key_is_that_of_the_base_model_whatever_its_adapter(tmp_path):
    model = tiny_model()
    before = fingerprint(model)
    assert fingerprint(shake(model)) == before
    model.base_model.model.model.layers[0].mlp.up_proj.base_layer.weight.data[0, 0] += 1
    assert fingerprint(model) != before
    assert Store(tmp_path, "a").key(1) != Store(tmp_path, "b").key(1)


def test_a_second_run_samples_nothing_and_asks_no_teacher(tmp_path, monkeypatch):
    def run():
        trainer = make_trainer(tmp_path, rows=create_dataset(QUESTIONS), num_trajectories=2, max_steps=2)
        trainer.train()
        return logged(trainer)

    first = run()
    monkeypatch.setattr("bakery.engine.distill.engine.sample", None)
    monkeypatch.setattr("bakery.engine.distill.teacher._Pass._compute", None)
    assert run() == first
    monkeypatch.undo()
    for path in (tmp_path / "_cache").iterdir():
        path.write_bytes(b"broken")
    assert run() == first
