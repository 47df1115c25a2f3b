"""Rows that grow: which tokens of a draft are read, and that a forgotten draft leaves nothing behind."""

import pytest
import torch

from bakery.engine.attention.packed import packed
from bakery.engine.distill.prefix import PrefixCache
from bakery.engine.distill.samplers.batches import Batch, Part
from bakery.engine.distill.samplers.decoding import PackedDecoding, PlainDecoding
from bakery.engine.distill.samplers.sampler import SamplingPrompt, SamplingSettings
from bakery.engine.distill.shortcut_trial import try_shortcuts
from bakery.engine.model.loading import attach_adapter
from bakery.settings.config import LoraConfig
from tests.engine.architectures import random_rows, tiny

ROWS = random_rows([5, 9], shared=20)
BATCH = Batch((Part(tuple(ROWS[0][:20]), (0, 1)),))


@pytest.fixture(scope="module")
def model():
    return attach_adapter(tiny("qwen3", torch.float64), LoraConfig(r=2))


def _decoding(model, drafts, per_prompt=1) -> PackedDecoding:
    prompts = [SamplingPrompt(ids, "a", draft=draft) for ids, draft in zip(ROWS, drafts, strict=True)]
    settings = SamplingSettings(frozenset({2}), max_new_tokens=6, per_prompt=per_prompt)
    return PackedDecoding(model, BATCH, prompts, PrefixCache(model), settings, try_shortcuts(model, ROWS, 20))


@pytest.mark.parametrize(
    ("draft", "read"),
    [((), ()), ((7, 8), (7, 8)), ((7, 2), (7,)), ((2,), ()), (tuple(range(10, 20)), tuple(range(10, 15)))],
)
def test_of_a_draft_nothing_is_read_behind_which_nothing_follows(model, draft, read):
    assert _decoding(model, [draft, ()]).drafts() == [read, ()]


def test_a_prompt_with_several_answers_has_no_draft(model):
    assert _decoding(model, [(7, 8), ()], per_prompt=2).drafts() == [()] * 4


def test_what_did_not_hold_is_forgotten(model):
    """Of one row's draft one token holds of three, the other row has none."""
    drafted, plain = _decoding(model, [(7, 8, 9), ()]), _decoding(model, [(7,), ()])
    with torch.inference_mode(), packed(model):
        states = drafted.start()
        assert len(states) == 5
        torch.testing.assert_close(states[[0, 1, 4]], plain.start())
        drafted.accept([1, 0])
        plain.accept([1, 0])
        for tokens in ([11, 12], [13, 14]):
            newest = torch.tensor(tokens)
            torch.testing.assert_close(drafted.step(newest), plain.step(newest))


def test_the_plain_path_reads_no_draft(model):
    prompts = [SamplingPrompt(ROWS[0], draft=(7, 8))]
    decoding = PlainDecoding(model, Batch((Part((), (0,)),)), prompts, SamplingSettings(frozenset(), 4))
    assert decoding.drafts() == [()]
    assert decoding.start().shape[0] == 1
    with pytest.raises(NotImplementedError, match="let go of rows"):
        decoding.select([0])
