"""Questions in, events out: the answers of the engine, measured token by token, with the rules under each."""

from dataclasses import replace

import pytest

from bakery.engine.distill.conditions import BAKED, BASE, PROMPTED
from bakery.errors import DataError
from bakery.evaluation.shown_answers import token_texts
from bakery.rows.conversations import Conversation
from bakery.rows.document import Chunk
from bakery.taste.conversation import Asked, Begun, Ended, GrowingText, Piece, with_answer, with_question
from tests.engine_support import PREFIX, tokenizer
from tests.taste.conftest import COLUMNS

QUESTION = ({"role": "user", "content": "What is the wifi password?"},)
EVERYONE = dict.fromkeys(COLUMNS, QUESTION)


def ask(tasting, **changes):
    return list(tasting.answers(Asked(**{"messages": EVERYONE, "max_new_tokens": 8, **changes})))


def ends(events):
    return {event.column: event for event in events if isinstance(event, Ended)}


def pieces(events, column):
    return [event for event in events if isinstance(event, Piece) and event.column == column]


def alone(tasting, condition, messages=QUESTION, prefix=tuple(PREFIX), **changes):
    """The answer of the engine, and its text."""
    prompt = tasting.builder.prompts(Conversation(tuple(messages), prefix, ""))
    (answer,) = tasting.engine.answers(condition, [prompt], **{"max_new_tokens": 8, **changes})
    return answer.ids, str(tokenizer().decode(list(answer.ids), skip_special_tokens=True))


@pytest.mark.parametrize(("temperature", "strength"), [(0.0, 1.0), (0.9, 0.5), (0.0, 0.0), (0.5, 1.5)])
def test_every_column_says_what_its_model_says_alone(temperature, strength, tasting):
    events = ask(tasting, temperature=temperature, strength=strength, seed=7)
    conditions = {"base": BASE, "prompted": PROMPTED, "baked": BAKED.at(strength)}
    for column, condition in conditions.items():
        _, text = alone(tasting, condition, temperature=temperature, seed=7)
        assert ends(events)[column].text == text
        assert "".join(piece.text for piece in pieces(events, column)) == text
    assert ends(ask(tasting, strength=0.0))["baked"].text == ends(events)["base"].text or temperature or strength


def test_the_answers_grow_side_by_side(tasting):
    order = [event.column for event in ask(tasting) if isinstance(event, Piece)]
    assert order[:6] == [*COLUMNS, *COLUMNS]


def test_each_token_has_its_divergence_from_the_prompted_model_and_what_all_would_have_said(tasting):
    events = ask(tasting)
    for column in COLUMNS:
        for piece in pieces(events, column):
            assert piece.nats["prompted"] == 0
            assert all(nats >= 0 for nats in piece.nats.values())
            assert set(piece.nats) == set(piece.probability) == set(piece.likeliest) == set(COLUMNS)
            best, chance = piece.likeliest[column][0]
            assert (best, chance) == (piece.shown, pytest.approx(piece.probability[column]))  # at temperature 0
    assert max(piece.nats["base"] for piece in pieces(events, "base")) > 0.1


def test_the_same_seed_gives_the_same_answers_and_another_one_others(tasting):
    first, again, other = (ends(ask(tasting, temperature=1.0, seed=seed)) for seed in (3, 3, 4))
    assert first == again != other


def test_at_the_strength_of_the_base_the_baked_model_is_the_base(tasting):
    events = ask(tasting, strength=0.0)
    assert ends(events)["baked"].text == ends(events)["base"].text


def test_another_prompt_changes_the_prompted_answer_only(tasting):
    other = ({"role": "system", "content": "Answer with one word: no."},)
    before, after = ends(ask(tasting)), ends(ask(tasting, prompt=other))
    assert after["prompted"].text == alone(tasting, PROMPTED, prefix=other)[1] != before["prompted"].text
    assert (after["base"], after["baked"]) == (before["base"], before["baked"])


def test_an_empty_prompt_leaves_the_base(tasting):
    events = ask(tasting, prompt=({"role": "system", "content": "  "},))
    assert events[0] == Begun(())
    assert ends(events)["prompted"].text == ends(events)["base"].text
    assert max(piece.nats["base"] for piece in pieces(events, "base")) == pytest.approx(0, abs=1e-5)


def test_every_column_goes_on_with_its_own_answers(tasting):
    own = {column: with_question(with_answer(QUESTION, f"I am {column}."), "And who are you?") for column in COLUMNS}
    after = ends(ask(tasting, messages=own))
    for column, condition in {"base": BASE, "prompted": PROMPTED, "baked": BAKED}.items():
        assert after[column].text == alone(tasting, condition, own[column])[1]


def test_one_column_alone_is_not_measured_and_says_the_same(tasting):
    events = ask(tasting, messages={"baked": QUESTION}, compared=False)
    assert ends(events)["baked"] == ends(ask(tasting))["baked"]
    assert pieces(events, "baked")[0].nats == {}


def test_rules_that_are_about_the_question_are_checked_under_each_answer(tasting):
    told = ends(ask(tasting))["baked"]
    assert told.rules == (("greets", told.text.strip().startswith("Ahoy")), ("short", True))
    elsewhere = dict.fromkeys(COLUMNS, ({"role": "user", "content": "Who are you?"},))
    assert [name for name, _ in ends(ask(tasting, messages=elsewhere))["base"].rules] == ["greets"]


def test_an_answer_that_was_cut_says_so(tasting):
    assert {end.stopped for end in ends(ask(tasting, max_new_tokens=1)).values()} <= {False, True}
    events = ask(tasting, max_new_tokens=1)
    assert all(len(pieces(events, column)) == 1 for column in COLUMNS)


def test_a_conversation_beyond_what_the_model_reads_is_refused(tasting):
    short = replace(tasting, longest=20)
    with pytest.raises(DataError, match=r"have \d+ tokens, and the model reads 20 at most; start a new conversation"):
        ask(short)
    (piece, *_), fits = pieces(ask(tasting), "base"), len(tasting.builder.prompts(
        Conversation(QUESTION, tuple(PREFIX), "")).teacher_ids)  # fmt: skip
    assert len(pieces(ask(replace(tasting, longest=fits + 1)), "base")) == 1
    assert piece.column == "base"


def test_the_tokens_of_the_prompt_are_read_once(tasting, monkeypatch):
    from bakery.engine.distill import prefix

    computed = []
    real = prefix.prefix_key_values
    monkeypatch.setattr(prefix, "prefix_key_values", lambda *given: computed.append(given[1]) or real(*given))
    fresh = replace(tasting, engine=replace(tasting.engine, prefixes=prefix.PrefixCache(tasting.engine.model)))
    ask(fresh)
    ask(fresh, messages=dict.fromkeys(COLUMNS, with_question(with_answer(QUESTION, "No."), "Why?")))
    (ids,) = computed
    assert "coral42" in tokenizer().decode(list(ids))


def test_of_a_document_the_part_is_seen_that_the_question_is_about(tasting):
    parts = [
        Chunk(text, ({"role": "system", "content": f"Read this: {text}"},))
        for text in ("The sea is blue and wide.", "The wifi password is coral42.")
    ]
    events = ask(replace(tasting, prompt=(), chunks=tuple(parts)))
    assert events[0] == Begun(parts[1].prefix)
    assert ends(events)["prompted"].text == alone(tasting, PROMPTED, prefix=parts[1].prefix)[1]


def test_text_grows_as_the_report_shows_it():
    ids = tokenizer()("Ahoy, café 🏴‍☠️! Ünder the sea.", add_special_tokens=False)["input_ids"]
    text = GrowingText(tokenizer())
    assert [text.add(one, last=at == len(ids) - 1) for at, one in enumerate(ids)] == token_texts(tokenizer(), ids)


def test_an_answer_that_is_left_stops(tasting):
    events = tasting.answers(Asked(EVERYONE, max_new_tokens=8))
    next(events), next(events)
    events.close()
    assert list(events) == []
    assert ends(ask(tasting))  # and the model is as it was
