"""One model in four conditions, over the same shortcuts."""

from dataclasses import replace

import pytest
import torch

from bakery.chat.views import ViewBuilder
from bakery.engine.distill.conditions import BAKED, BAKED_PROMPTED, BASE, PROMPTED, Condition
from bakery.engine.distill.engine import Engine, sampling_prompts
from bakery.engine.distill.forward import prefix_key_values
from bakery.engine.distill.prefix import PrefixCache
from bakery.engine.distill.shortcut_trial import try_shortcuts_on
from bakery.engine.distill.teacher import row_key
from bakery.engine.model.adapters import acting
from bakery.engine.model.structure import stop_ids
from tests.engine_support import ANSWERS, PREFIX, QUESTIONS, shake, tiny_model, tokenizer

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
    return Engine(model, tokenizer(), try_shortcuts_on(model, PROMPTED, pairs, prefixes), prefixes, token_budget=200)


@pytest.fixture(scope="module")
def prompts(rows, builder):
    return [builder.prompts(replace(row, messages=row.messages[:-1])) for row in rows]


@pytest.mark.parametrize("condition", FOUR)
def test_every_condition_says_what_the_model_so_set_says(engine, prompts, condition):
    found = engine.answers(condition, prompts, max_new_tokens=6)
    for prompt, trajectory in zip(prompts, found, strict=True):
        ids = prompt.teacher_ids if condition.prompted else prompt.student_ids
        with torch.no_grad(), acting(engine.model, condition.adapters):
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
    teacher, live = engine.teacher(pairs), engine.live_teacher()
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
    engine = Engine(model, tokenizer(), try_shortcuts_on(model, PROMPTED, pairs, prefixes), prefixes, token_budget=200)
    engine.teacher(pairs)
    engine.answers(PROMPTED, prompts, max_new_tokens=2)
    assert len(made) == 1


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_the_signal_recorded_while_sampling_is_the_teachers(engine, prompts, beta):
    engine = replace(engine, beta=beta)
    settings = engine.sampling_settings(max_new_tokens=9, temperature=1.0, per_prompt=3)
    settings = replace(settings, stop_ids=frozenset(range(0, 5000, 6)))
    sampler = engine.sampler(PROMPTED, record_signal=True)
    answers = sampler.sample(sampling_prompts(prompts, PROMPTED), settings)
    assert len({len(answer.ids) for answer in answers}) > 1  # some leave the batch early
    pairs = [prompts[answer.prompt].with_answer(answer.ids) for answer in answers]
    known = {row_key(pair): answer.signal for pair, answer in zip(pairs, answers, strict=True)}
    wanted = engine.teacher(pairs).signal(pairs)
    recorded = type(wanted).concatenate([answer.signal for answer in answers])
    _assert_close(recorded, wanted)
    # Known and computed rows side by side, each in its turn.
    some = dict(list(known.items())[::2])
    _assert_close(engine.teacher(pairs, known=some).signal(pairs), wanted)
    name = next(iter(wanted.columns))
    changed = {key: replace(signal, **{name: signal.columns[name] + 1}) for key, signal in some.items()}
    mixed = engine.teacher(pairs, known=changed).signal(pairs)
    sizes = [len(pair.teacher_targets) for pair in pairs]
    both = zip(mixed.split(sizes), wanted.split(sizes), strict=True)
    moved = [bool((one.columns[name] - other.columns[name]).abs().max() > 1e-3) for one, other in both]
    assert moved == [row_key(pair) in some for pair in pairs]


def _assert_close(one, other):
    for name, column in other.columns.items():
        torch.testing.assert_close(one.columns[name], column, rtol=1e-9, atol=1e-9)


def test_a_baked_model_that_is_prompted_reads_the_teachers_view(engine, rows, builder):
    pairs = [pair for row in rows for pair in builder.views(row)]
    teacher = engine.teacher(pairs)
    as_student = [replace(pair, student_ids=pair.teacher_ids, student_targets=pair.teacher_targets) for pair in pairs]
    both = engine.compare(BAKED_PROMPTED, pairs, teacher).divergence
    torch.testing.assert_close(both, engine.compare(BAKED, as_student, teacher).divergence, rtol=1e-8, atol=1e-10)
    assert engine.compare(PROMPTED, pairs, teacher).divergence.abs().max() < 1e-9


def test_an_earlier_adapter_can_be_the_teacher(rows, builder):
    """Adapter `earlier` and the prompt teach adapter `default`, whatever the latter has become."""
    model = tiny_model(torch.float64, trained=True)
    model.add_adapter("earlier", model.peft_config["default"])
    model.set_adapter("earlier")
    shake(model, seed=5)
    model.set_adapter("default")
    pairs = [pair for row in rows for pair in builder.views(row)]
    earlier = Condition((("earlier", 1.0),), prompted=True)
    prefixes = PrefixCache(model)
    shortcuts = try_shortcuts_on(model, earlier, pairs, prefixes)
    engine = Engine(model, tokenizer(), shortcuts, prefixes, token_budget=200, teacher_condition=earlier)
    teacher = engine.teacher(pairs)
    assert engine.compare(earlier, pairs, teacher).divergence.abs().max() < 1e-9
    assert engine.compare(PROMPTED, pairs, teacher).divergence.max() > 1e-3
    before = teacher.signal(pairs)
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert trained
    assert all(".default." in name for name in trained)
    for parameter in trained.values():
        parameter.data.add_(0.1)
    _assert_close(engine.teacher(pairs).signal(pairs), before)
