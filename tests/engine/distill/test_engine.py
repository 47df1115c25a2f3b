"""One model in four conditions, over the same shortcuts."""

from dataclasses import replace

import pytest
import torch

from bakery.chat.views import ViewBuilder
from bakery.engine.distill.conditions import BAKED, BAKED_PROMPTED, BASE, PROMPTED
from bakery.engine.distill.engine import Engine, find_paths_on
from bakery.engine.distill.forward import prefix_key_values
from bakery.engine.distill.prefix import PrefixCache
from bakery.engine.distill.teacher import row_key
from bakery.engine.model.loading import adapter_off, stop_ids
from tests.engine_support import ANSWERS, PREFIX, QUESTIONS, tiny_model, tokenizer

FOUR = (BASE, PROMPTED, BAKED, BAKED_PROMPTED)


@pytest.fixture(scope="module")
def rows():
    from bakery.rows.conversations import conversations
    from bakery.rows.datasets import create_dataset

    return conversations(create_dataset(QUESTIONS, ANSWERS), "rows")


@pytest.fixture(scope="module")
def builder():
    return ViewBuilder(tokenizer(), prefix_messages=PREFIX)


@pytest.fixture(scope="module")
def engine(rows, builder):
    model = tiny_model(torch.float64, trained=True)
    pairs = [pair for row in rows for pair in builder.views(row)]
    prefixes = PrefixCache(model)
    return Engine(model, tokenizer(), find_paths_on(model, pairs, prefixes), prefixes, token_budget=200)


@pytest.fixture(scope="module")
def prompts(rows, builder):
    return [builder.prompts(replace(row, messages=row.messages[:-1])) for row in rows]


@pytest.mark.parametrize("condition", FOUR)
def test_every_condition_says_what_the_model_so_set_says(engine, prompts, condition):
    from contextlib import nullcontext

    found = engine.answers(condition, prompts, max_new_tokens=6)
    for prompt, trajectory in zip(prompts, found, strict=True):
        ids = prompt.teacher_ids if condition.prompted else prompt.student_ids
        with torch.no_grad(), nullcontext() if condition.adapters else adapter_off(engine.model):
            said = engine.model.generate(
                torch.tensor([ids]),
                attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                max_new_tokens=6,
                do_sample=False,
            )
        assert list(trajectory.ids) == said[0, len(ids) :].tolist()


def test_the_four_conditions_differ(engine, prompts):
    said = {condition: tuple(t.ids for t in engine.answers(condition, prompts, max_new_tokens=8)) for condition in FOUR}
    assert len(set(said.values())) == 4


def test_base_and_baked_are_compared_with_the_prompted_teacher(engine, rows, builder):
    pairs = [pair for row in rows for pair in builder.views(row)]
    teacher, live = engine.teacher(pairs), engine.live_teacher(pairs)
    base, baked = (engine.compare(condition, pairs, teacher).divergence for condition in (BASE, BAKED))
    assert (base - baked).abs().max() > 1e-3
    torch.testing.assert_close(engine.compare(BAKED, pairs, live).divergence, baked, rtol=1e-8, atol=1e-10)


def test_the_model_is_left_as_it_was(engine, prompts):
    engine.model.train()
    try:
        for condition in FOUR:
            engine.answers(condition, prompts[:1], max_new_tokens=2)
            assert engine.model.training
            assert not engine.model.base_model.model.model.layers[0].self_attn.q_proj.disable_adapters
    finally:
        engine.model.eval()


def test_stop_ids_are_those_of_the_generation_config_and_the_tokenizer():
    model = tiny_model()
    assert stop_ids(model, tokenizer()) == {tokenizer().eos_token_id}
    model.generation_config.eos_token_id = [7, 9]
    assert stop_ids(model, tokenizer()) == {7, 9, tokenizer().eos_token_id}


def test_trial_sampling_and_teacher_read_a_prefix_once(monkeypatch, rows, builder, prompts):
    made = []
    monkeypatch.setattr(
        "bakery.engine.distill.prefix.prefix_key_values",
        lambda model, ids, *rest: made.append(len(ids)) or prefix_key_values(model, ids),
    )
    model = tiny_model(torch.float64, trained=True)
    pairs = [pair for row in rows for pair in builder.views(row)]
    prefixes = PrefixCache(model)
    engine = Engine(model, tokenizer(), find_paths_on(model, pairs, prefixes), prefixes, token_budget=200)
    engine.teacher(pairs)
    engine.answers(PROMPTED, prompts, max_new_tokens=2)
    assert len(made) == 1


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_the_signal_kept_while_sampling_is_the_teachers(engine, prompts, monkeypatch, beta):
    engine = replace(engine, beta=beta)
    monkeypatch.setattr("bakery.engine.distill.engine.stop_ids", lambda *_: frozenset(range(0, 5000, 6)))
    answers = engine.answers(PROMPTED, prompts, max_new_tokens=9, temperature=1.0, per_prompt=3, keep_signal=True)
    assert len({len(answer.ids) for answer in answers}) > 1  # some leave the batch early
    pairs = [prompts[answer.prompt].with_answer(answer.ids) for answer in answers]
    known = {row_key(pair): answer.kept for pair, answer in zip(pairs, answers, strict=True)}
    wanted = engine.teacher(pairs).of(range(len(pairs)))
    torch.testing.assert_close(torch.cat([answer.kept for answer in answers]), wanted, rtol=1e-9, atol=1e-9)
    # Known and computed rows side by side, each in its place.
    some = dict(list(known.items())[::2])
    torch.testing.assert_close(engine.teacher(pairs, known=some).of(range(len(pairs))), wanted, rtol=1e-9, atol=1e-9)
    poisoned = {key: signal + 1 for key, signal in some.items()}
    mixed = engine.teacher(pairs, known=poisoned).of(range(len(pairs)))
    sizes = [len(pair.teacher_targets) for pair in pairs]
    moved = [bool((a - b).abs().max() > 1e-3) for a, b in zip(mixed.split(sizes), wanted.split(sizes), strict=True)]
    assert moved == [row_key(pair) in some for pair in pairs]
