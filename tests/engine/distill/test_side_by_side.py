"""Answers that grow in step: each as its author alone would write it, each token read as a plain pass reads it."""

from dataclasses import replace

import pytest
import torch

from bakery.chat.views import ViewBuilder
from bakery.engine.distill import prefix
from bakery.engine.distill.conditions import BAKED, BASE, PROMPTED
from bakery.engine.distill.forward import plain_logits
from bakery.engine.distill.objective import token_divergence
from bakery.engine.distill.side_by_side import SideBySide
from bakery.engine.model.adapters import acting
from bakery.engine.session import session_of
from bakery.rows.conversations import Conversation
from tests.engine_support import PREFIX, settings, tiny_model, tokenizer

CONDITIONS = (BASE, PROMPTED, BAKED.at(0.5))
QUESTIONS = ("Who is there?", "Tell me the wifi password.", "Why not?")


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    builder = ViewBuilder(tokenizer(), prefix_messages=PREFIX)
    model = tiny_model(trained=True)
    return session_of(model, tokenizer(), builder, settings(tmp_path_factory.mktemp("session")))


def asked(session, *questions):
    return [
        session.builder.prompts(Conversation(({"role": "user", "content": q},), None, "a question")) for q in questions
    ]


def engines(session):
    """With the shortcuts that hold, and without any."""
    engine = session.engine(asked(session, *QUESTIONS))
    assert engine.shortcuts.prefix
    return {"fast": engine, "plain": replace(engine, shortcuts=replace(engine.shortcuts, packed=False, prefix=False))}


def shared_ids(prompts):
    return tuple(prompts[0].teacher_ids[: len(PREFIX[0]["content"].split())])


@pytest.mark.parametrize("path", ["fast", "plain"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_every_answer_is_the_one_its_author_gives_alone(path, temperature, session):
    engine = engines(session)[path]
    prompts = asked(session, *QUESTIONS)
    sampling = engine.sampling_settings(max_new_tokens=10, temperature=temperature, seed=4)
    side = SideBySide(engine, CONDITIONS, reference=1)
    written = {0: [], 1: [], 2: []}
    for token in side.stream(prompts, [0, 1, 2], sampling, shared_ids(prompts)):
        written[token.answer].append(token)
    for number, condition in enumerate(CONDITIONS):
        (alone,) = engine.answers(condition, [prompts[number]], max_new_tokens=10, temperature=temperature, seed=4)
        assert tuple(token.id for token in written[number]) == alone.ids
        assert [token.last for token in written[number]] == [False] * (len(alone.ids) - 1) + [True]


@pytest.mark.parametrize("path", ["fast", "plain"])
def test_every_token_is_read_as_plain_passes_read_it(path, session):
    engine = engines(session)[path]
    (prompt,) = asked(session, QUESTIONS[0])
    sampling = engine.sampling_settings(max_new_tokens=6)
    read = list(
        SideBySide(engine, CONDITIONS, reference=1, top=3).stream([prompt], [2], sampling, shared_ids([prompt]))
    )
    ids = [token.id for token in read]
    logits = []
    for condition in CONDITIONS:
        view = prompt.teacher_ids if condition.prompted else prompt.student_ids
        with acting(session.model, condition.adapters):
            logits.append(plain_logits(session.model, [*view, *ids])[len(view) - 1 : -1])
    for at, token in enumerate(read):
        for number in range(3):
            chances = torch.softmax(logits[number][at], -1)
            apart = float(token_divergence(logits[number][at], logits[1][at]))
            assert token.divergence[number] == pytest.approx(apart, abs=1e-4)
            assert token.probability[number] == pytest.approx(float(chances[token.id]), abs=1e-5)
            values, best = chances.topk(3)
            assert [one.id for one in token.likeliest[number]] == best.tolist()
            assert [one.probability for one in token.likeliest[number]] == pytest.approx(values.tolist(), abs=1e-5)
    assert token.divergence[1] == 0


def test_the_prefix_is_read_once_for_all_questions(session, monkeypatch):
    engine = engines(session)["fast"]
    computed = []
    real = prefix.prefix_key_values
    monkeypatch.setattr(prefix, "prefix_key_values", lambda *given: computed.append(given[1]) or real(*given))
    engine = replace(engine, prefixes=prefix.PrefixCache(engine.model))
    side = SideBySide(engine, CONDITIONS, reference=1)
    for question in QUESTIONS:
        prompts = asked(session, question) * 3
        list(side.stream(prompts, [0, 1, 2], engine.sampling_settings(max_new_tokens=3), shared_ids(prompts)))
    assert computed == [shared_ids(prompts)]


def test_without_a_reference_one_condition_is_read_alone(session):
    engine = engines(session)["fast"]
    prompts = asked(session, QUESTIONS[0])
    (*_, last) = SideBySide(engine, (PROMPTED,)).stream(prompts, [0], engine.sampling_settings(max_new_tokens=4))
    assert last.divergence == ()
    assert len(last.likeliest) == 1


def test_a_stream_that_is_closed_leaves_the_model_as_it_was(session):
    engine = engines(session)["fast"]
    stream = SideBySide(engine, CONDITIONS, reference=1).stream(
        asked(session, QUESTIONS[0]), [0], engine.sampling_settings(max_new_tokens=8)
    )
    before = plain_logits(session.model, [1, 2, 3])
    next(stream)
    assert torch.equal(plain_logits(session.model, [1, 2, 3]), before)
    stream.close()
    assert torch.equal(plain_logits(session.model, [1, 2, 3]), before)
