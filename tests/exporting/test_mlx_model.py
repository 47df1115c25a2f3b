"""MLX is asked as any model is, where it is installed; a stand-in for it runs here."""

import sys
from types import ModuleType

import pytest
import torch

from bakery.exporting.asking import TransformersModel
from bakery.exporting.mlx_model import MlxModel, load_in_mlx
from tests.engine_support import tiny_base

IDS, STOPS = (1, 5, 9, 30, 4), frozenset({2})


class Network:
    """Logits of a tiny model, without a gradient."""

    def __init__(self, model):
        self.model, self.dtype = model, None

    def __call__(self, ids):
        with torch.inference_mode():
            return self.model(ids).logits.numpy()

    def set_dtype(self, dtype):
        self.dtype = dtype


@pytest.fixture
def stand_in(monkeypatch):
    core, library = ModuleType("mlx.core"), ModuleType("mlx_lm")
    core.array, core.float32 = torch.tensor, "float32"
    library.load = lambda base, adapter_path: (Network(tiny_base()), None)
    library.__spec__ = object()
    monkeypatch.setitem(sys.modules, "mlx", ModuleType("mlx"))
    monkeypatch.setitem(sys.modules, "mlx.core", core)
    monkeypatch.setitem(sys.modules, "mlx_lm", library)
    return library


def test_it_answers_as_the_same_model_in_transformers(stand_in, tmp_path):
    model = load_in_mlx("base", tmp_path, STOPS, 6)
    assert isinstance(model, MlxModel)
    assert model.network.dtype == "float32"
    other = TransformersModel(tiny_base(), STOPS, 6)
    assert model.answer(IDS) == other.answer(IDS)
    difference = model.log_probabilities(IDS, (7, 8)) - other.log_probabilities(IDS, (7, 8))
    assert difference.abs().max() < 1e-5


def test_why_it_is_not_asked_is_said(stand_in, monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise ValueError("Model type tiny not supported.")

    stand_in.load = refuse
    assert load_in_mlx("base", tmp_path, STOPS, 6) == "mlx_lm does not load base: Model type tiny not supported."
    monkeypatch.delitem(sys.modules, "mlx_lm")
    monkeypatch.setattr("bakery.exporting.mlx_model.find_spec", lambda name: None)
    assert load_in_mlx("base", tmp_path, STOPS, 6) == "mlx_lm is not installed here"
