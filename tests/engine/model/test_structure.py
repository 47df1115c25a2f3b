"""Base, decoder and stop tokens are those of the same model, whatever it is wrapped in."""

import pytest
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from bakery.engine.model.structure import base_of, decoder, device_of, evaluating, stop_ids, unwrap
from tests.engine_support import tiny_model


class _Tokenizer(PreTrainedTokenizerBase):
    """Knows only its end-of-turn token."""

    eos_token_id = None

    def __init__(self, eos_token_id):
        self.__dict__["eos_token_id"] = eos_token_id


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def test_wrappers_and_peft_are_seen_through(model):
    wrapped = nn.DataParallel(nn.DataParallel(model))
    base = model.get_base_model()
    assert unwrap(wrapped) is unwrap(model) is model
    assert base_of(wrapped) is base_of(model) is base_of(base) is base
    assert decoder(wrapped) is base.model
    assert device_of(wrapped) == torch.device("cpu")


@pytest.mark.parametrize(
    ("configured", "own", "expected"), [(2, 7, {2, 7}), ([2, 5], 7, {2, 5, 7}), (None, 7, {7}), ([2], None, {2})]
)
def test_every_end_of_turn_stops_the_models_and_the_tokenizers(configured, own, expected, model, monkeypatch):
    monkeypatch.setattr(base_of(model).generation_config, "eos_token_id", configured)
    assert stop_ids(model, _Tokenizer(own)) == expected


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_mode_ends_with_its_block_also_after_an_error(training):
    model = nn.Sequential(nn.Dropout(0.5))
    model.train(training)

    def fail_inside():
        with evaluating(model), evaluating(model):
            assert not model[0].training
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert model.training == model[0].training == training
