"""Sampling: the same answers whatever is batched, greedy as transformers does it, and an honest end of every answer."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GenerationConfig

from bakery.chat.thinking import ThinkingTokens
from bakery.engine.distill.conditions import BASE
from bakery.engine.distill.forward import Shortcuts
from bakery.engine.distill.prefix import PrefixCache
from bakery.engine.distill.samplers.batches import behind_prefixes
from bakery.engine.distill.samplers.local import LocalSampler, choose
from bakery.engine.distill.samplers.sampler import SamplingPrompt, SamplingSettings, ThinkingBound, collect
from bakery.engine.distill.shortcut_trial import try_shortcuts
from bakery.engine.distill.signals import States
from bakery.engine.model.lm_head import read_head
from bakery.engine.model.loading import attach_adapter
from bakery.errors import NumericError
from bakery.progress import ProgressCallback
from bakery.settings.config import LoraConfig
from tests.engine.architectures import ALL, VOCABULARY, random_rows, tiny

PROMPTS = random_rows([5, 9, 3, 12, 7], shared=20)
KEYS = ["a"] * len(PROMPTS)


TAGS = ThinkingTokens(openings=((),), endings=((7,), (60, 61)), closing=(60, 61, 62))
BOUND = ThinkingBound(5, TAGS)
"""The prompt opens the thoughts of every answer."""
OPENED = ThinkingBound(3, replace(TAGS, openings=tuple((token,) for token in range(40))))
"""Some answers open thoughts by one of many tokens, others have none."""


def _settings(**changes) -> SamplingSettings:
    usual = {"stop_ids": frozenset({2, 5}), "max_new_tokens": 12, "temperature": 1.0, "per_prompt": 3, "seed": 7}
    return SamplingSettings(**{**usual, **changes})


def _sampler(model, shortcuts, token_budget=65_536) -> LocalSampler:
    return LocalSampler(model, BASE, shortcuts, PrefixCache(model), token_budget)


def _prompts(keys=KEYS) -> list[SamplingPrompt]:
    return [SamplingPrompt(ids, key) for ids, key in zip(PROMPTS, keys, strict=True)]


def _sampled(model, shortcuts, keys=KEYS, token_budget=65_536, **changes):
    return _sampler(model, shortcuts, token_budget).sample(_prompts(keys), _settings(**changes))


def _adapted(name="qwen3", dtype=torch.float32):
    """The base as every session has it: below an adapter."""
    return attach_adapter(tiny(name, dtype), LoraConfig(r=2))


@pytest.fixture(scope="module")
def model():
    return _adapted("qwen3", torch.float64)


@pytest.fixture(scope="module")
def shortcuts(model):
    return try_shortcuts(model, PROMPTS, 20)


@pytest.fixture(scope="module")
def wanted(model, shortcuts):
    return _sampled(model, shortcuts)


@pytest.mark.parametrize("budget", [1, 60, 300, 10**6])
def test_the_same_seed_gives_the_same_answers_for_every_token_budget(model, shortcuts, wanted, budget):
    assert _sampled(model, shortcuts, token_budget=budget) == wanted


def _one_by_one(model, prompt, number, asked, bound):
    """An answer by the rules, token for token: the oracle, which reads everything anew for every token."""
    uniforms = np.random.default_rng([asked.seed, prompt, number]).random(100)
    ids, forced, begin = [], range(0), None
    while True:
        with torch.no_grad():
            logits = model(torch.tensor([[*PROMPTS[prompt], *ids]])).logits[:, -1]
        draw = torch.tensor([uniforms[len(ids)]]), torch.tensor([asked.temperature])
        ids.append(int(choose(logits, *draw)))
        opening = 0 if bound.tokens.openings == ((),) else 1
        thinks = not opening or (ids[0],) in bound.tokens.openings
        thoughts = ids[opening:]
        if ids[-1] in asked.stop_ids:
            return tuple(ids), forced
        if begin is None and not thinks:
            begin = 0
        elif begin is None and (thoughts[-1:] == [7] or thoughts[-2:] == [60, 61]):
            begin = len(ids)
        elif begin is None and len(thoughts) == bound.length:
            forced = range(len(ids), len(ids) + 3)
            ids += [60, 61, 62]
            begin = len(ids)
        if begin is not None and len(ids) - begin >= asked.max_new_tokens:
            return tuple(ids), forced


@pytest.mark.parametrize("bound", [BOUND, OPENED])
@pytest.mark.parametrize("way", ["packed", "a row at a time", "plain"])
def test_thoughts_are_ended_at_their_bound_and_the_answer_has_its_own_length(model, shortcuts, bound, way):
    ways = {"plain": Shortcuts(packed=False, prefix=False, head=read_head(model))}
    budget = 1 if way == "a row at a time" else 65_536
    asked = _settings(thinking=bound, max_new_tokens=4, per_prompt=6)
    trajectories = _sampler(model, ways.get(way, shortcuts), budget).sample(_prompts(), asked)
    for one in trajectories:
        assert (one.ids, one.forced) == _one_by_one(model, one.prompt, one.number, asked, bound)
        assert [one.ids[at] for at in one.forced] in ([], [60, 61, 62])
        assert not set(one.forced).intersection(one.drawn)
        assert len(one.ids) <= asked.longest
    assert {bool(one.forced) for one in trajectories} == {True, False}
    assert max(len(one.ids) for one in trajectories) == asked.longest


def test_the_same_seed_gives_the_same_answers_without_a_shared_prefix(model, shortcuts, wanted):
    assert _sampled(model, shortcuts, keys=list("abcde")) == wanted


def test_the_same_seed_gives_the_same_answers_on_the_plain_path(model, wanted):
    plain = Shortcuts(packed=False, prefix=False, head=read_head(model))
    assert _sampled(model, plain) == wanted
    assert _sampled(model, plain, token_budget=1) == wanted


def test_a_prompt_alone_gets_the_answers_it_gets_in_company(model, shortcuts, wanted):
    # The stream of random numbers is named by the prompt's index, so the first prompt is asked alone.
    alone = _sampler(model, shortcuts).sample(_prompts()[:1], _settings())
    assert alone == [trajectory for trajectory in wanted if trajectory.prompt == 0]


def test_another_seed_gives_other_answers_and_answers_of_one_prompt_differ(model, shortcuts, wanted):
    assert _sampled(model, shortcuts, seed=8) != wanted
    assert len({trajectory.ids for trajectory in wanted if trajectory.prompt == 1}) > 1
    assert [(t.prompt, t.number) for t in wanted] == [(p, n) for p in range(len(PROMPTS)) for n in range(3)]


def test_an_answer_ends_with_a_stop_token_or_was_cut_and_holds_none_before(wanted):
    stops = {2, 5}
    assert {trajectory.stopped for trajectory in wanted} == {True, False}
    for trajectory in wanted:
        assert not stops & set(trajectory.ids[:-1])
        assert (trajectory.ids[-1] in stops) == trajectory.stopped
        assert trajectory.stopped or len(trajectory.ids) == 12


def test_every_token_may_be_a_stop_token(model, shortcuts):
    trajectories = _sampled(model, shortcuts, stop_ids=frozenset(range(VOCABULARY)))
    assert all(len(trajectory.ids) == 1 and trajectory.stopped for trajectory in trajectories)


@pytest.mark.parametrize("name", ALL)
def test_greedy_answers_are_those_of_transformers(name):
    model = _adapted(name)
    shortcuts = try_shortcuts(model, PROMPTS, 20)
    trajectories = _sampled(model, shortcuts, temperature=0.0, per_prompt=1)
    config = GenerationConfig(max_new_tokens=12, do_sample=False, eos_token_id=[2, 5], pad_token_id=0)
    for prompt, trajectory in zip(PROMPTS, trajectories, strict=True):
        ids = torch.tensor([prompt])
        with torch.no_grad():
            said = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)
        assert list(trajectory.ids) == said[0, len(prompt) :].tolist()


class _Counts(ProgressCallback):
    def __init__(self):
        self.calls = []

    def __call__(self, amount, tokens=0, *, reused=False):
        self.calls.append((amount, tokens))


def test_finished_rows_are_counted_once(model, shortcuts):
    counts = _Counts()
    trajectories = _sampler(model, shortcuts).sample(_prompts(), _settings(), counts)
    answers, tokens = (sum(column) for column in zip(*counts.calls, strict=True))
    assert answers == len(trajectories) == 15
    assert tokens == sum(len(trajectory.ids) for trajectory in trajectories)


def test_a_stream_yields_the_tokens_of_the_trajectories_one_by_one_and_marks_the_last(model, shortcuts, wanted):
    tokens: dict[tuple[int, int], list[int]] = {}
    ended = []
    stream = _sampler(model, shortcuts).stream(_prompts(), _settings())
    while True:
        try:
            token = next(stream)
        except StopIteration as end:
            trajectories = end.value
            break
        assert (token.prompt, token.number) not in ended
        tokens.setdefault((token.prompt, token.number), []).append(token.id)
        ended += [(token.prompt, token.number)] if token.last else []
    assert trajectories == wanted
    assert {(t.prompt, t.number): list(t.ids) for t in wanted} == tokens
    assert sorted(ended) == sorted(tokens)


def test_between_two_tokens_of_a_stream_the_model_is_free(model, shortcuts, wanted):
    """Two streams of one model, and its own use in training mode with a gradient, do not disturb each other."""
    layer = model.base_model.model.model.layers[0].self_attn.q_proj
    one, other = (_sampler(model, shortcuts).stream(_prompts(), _settings(seed=seed)) for seed in (7, 8))
    next(one)
    next(other)
    assert not layer.disable_adapters
    assert not torch.is_inference_mode_enabled()
    assert model.config._attn_implementation != "bakery_packed"
    next(other)
    assert collect(one) == wanted
    assert collect(other) == _sampled(model, shortcuts, seed=8)


class _Passes:
    """Counts the forward passes of a model's decoder."""

    def __init__(self, model):
        self.count = 0
        self._handle = model.base_model.model.model.register_forward_hook(self._add)

    def _add(self, *_):
        self.count += 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._handle.remove()


def _with_drafts(drafts):
    return [replace(prompt, draft=tuple(draft)) for prompt, draft in zip(_prompts(), drafts, strict=True)]


@pytest.mark.parametrize("thinking", [None, BOUND, OPENED])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_a_draft_changes_no_answer_however_wrong_it_is(model, shortcuts, temperature, thinking, data):
    asked = _settings(temperature=temperature, per_prompt=1, thinking=thinking)
    without = _sampler(model, shortcuts).sample(_prompts(), asked)
    drafts = []
    for trajectory in without:
        right = list(trajectory.ids[: data.draw(st.integers(0, len(trajectory.ids)))])
        drafts.append(right + data.draw(st.lists(st.integers(0, VOCABULARY - 1), max_size=24)))
    assert _sampler(model, shortcuts).sample(_with_drafts(drafts), asked) == without


def test_a_draft_that_holds_is_read_in_one_pass(model, shortcuts):
    asked = _settings(temperature=0.0, per_prompt=1, stop_ids=frozenset())
    sampler = _sampler(model, shortcuts)
    without = sampler.sample(_prompts(), asked)  # from here on the prefix is read
    for cut, passes in ((12, 1), (7, 5)):
        with _Passes(model) as counted:
            assert sampler.sample(_with_drafts(one.ids[:cut] for one in without), asked) == without
        assert counted.count == passes


def test_of_what_was_put_in_no_state_is_recorded(model, shortcuts):
    sampler = replace(_sampler(model, shortcuts), signal_of=States)
    trajectories = sampler.sample(_prompts(), _settings(thinking=BOUND))
    assert any(one.forced for one in trajectories)
    for one in trajectories:
        with torch.no_grad():
            states = model.base_model.model.model(torch.tensor([[*PROMPTS[one.prompt], *one.ids]])).last_hidden_state[0]
        before = [len(PROMPTS[one.prompt]) - 1 + at for at in one.drawn]
        torch.testing.assert_close(one.signal.states, states[before])


@pytest.mark.parametrize("thinking", [None, BOUND])
def test_the_states_behind_a_draft_are_recorded_as_those_without(model, shortcuts, thinking):
    asked = _settings(temperature=0.0, per_prompt=1, thinking=thinking)
    sampler = replace(_sampler(model, shortcuts), signal_of=States)
    without = sampler.sample(_prompts(), asked)
    drafts = [[*one.ids[:number], 1, 1] for number, one in enumerate(without)]
    for one, other in zip(without, sampler.sample(_with_drafts(drafts), asked), strict=True):
        torch.testing.assert_close(one.signal.states, other.signal.states)
        assert len(one.signal) == len(one.drawn)


def test_batches_are_told_when_they_are_whole(model, shortcuts, wanted):
    batches = []
    sampler = replace(_sampler(model, shortcuts, token_budget=100), on_batch=batches.append)
    sampler.sample(_prompts(), _settings())
    assert len(batches) > 1
    assert sorted((one for batch in batches for one in batch), key=lambda one: (one.prompt, one.number)) == wanted


def test_prompts_behind_several_prefixes_with_their_own_draws_are_one_batch(model, shortcuts):
    """The first prompts stand behind a prefix, the others behind none; some are greedy, some drawn."""
    others = random_rows([6, 4], seed=3)
    prompts = [
        *(replace(prompt, temperature=0.0) for prompt in _prompts()),
        *(replace(prompt, stream=(9, number)) for number, prompt in enumerate(_prompts())),
        *(SamplingPrompt(ids, "other") for ids in others),
    ]
    asked, sampler = _settings(per_prompt=1), _sampler(model, shortcuts)
    assert len(list(behind_prefixes(prompts, asked, frozenset(range(len(prompts))), 10**6))) == 1
    together = [trajectory.ids for trajectory in sampler.sample(prompts, asked)]
    greedy = [one.ids for one in sampler.sample(_prompts(), replace(asked, temperature=0.0))]
    drawn = [one.ids for one in sampler.sample(_prompts(), replace(asked, seed=9))]
    assert together[:5] == greedy
    assert together[5:10] == drawn
    for at, ids in enumerate(together[10:], 10):
        alone = [replace(prompts[at], stream=(7, at))]
        assert sampler.sample(alone, asked)[0].ids == ids


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), temperature=st.sampled_from([0.1, 0.8, 1.0, 3.0]))
def test_a_uniform_number_chooses_the_token_whose_share_it_falls_into(seed, temperature):
    logits = torch.randn(1, 11, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    shares = torch.softmax(logits[0] / temperature, -1).tolist()
    for u in np.random.default_rng(seed).random(5):
        chosen = int(choose(logits, torch.tensor([u]), torch.tensor([temperature])))
        below = sum(shares[:chosen])
        assert below - 1e-12 <= u * sum(shares) <= below + shares[chosen] + 1e-12


def test_a_token_of_probability_zero_is_never_chosen():
    logits = torch.tensor([[float("-inf"), 0.0, float("-inf"), 0.0, float("-inf")]])
    chosen = [int(choose(logits, torch.tensor([u]), torch.ones(1))) for u in (0.0, 0.3, 0.5, 0.7, 1 - 2**-53)]
    assert chosen == [1, 1, 3, 3, 3]


def test_shares_of_many_samples_are_those_of_the_model(model, shortcuts):
    """Chi-squared over the first token of 2,000 answers to one prompt."""
    trajectories = _sampler(model, shortcuts).sample(_prompts()[:1], _settings(per_prompt=2000, max_new_tokens=1))
    with torch.no_grad():
        p = model(torch.tensor(PROMPTS[:1])).logits[0, -1].softmax(-1)
    counts = torch.bincount(torch.tensor([t.ids[0] for t in trajectories]), minlength=VOCABULARY).double()
    likely = p * 2000 >= 5
    observed = torch.cat([counts[likely], counts[~likely].sum()[None]])
    expected = torch.cat([p[likely], p[~likely].sum()[None]]) * 2000
    statistic = ((observed - expected) ** 2 / expected.clamp(min=1e-9)).sum()
    freedom = len(expected) - 1
    assert statistic < freedom + 5 * (2 * freedom) ** 0.5


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_that_are_not_finite_end_the_sampling(temperature, shortcuts):
    broken = _adapted()
    with torch.no_grad():
        broken.get_input_embeddings().weight[PROMPTS[0][-1]] = torch.inf
    with pytest.raises(NumericError, match="logits are not finite"):
        _sampled(broken, shortcuts, temperature=temperature)
