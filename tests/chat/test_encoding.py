"""Tokens are those of transformers and stand for their characters, whatever is cut, remembered or shielded."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bakery.chat.encoding import Encoder, Text
from bakery.chat.rendering import Renderer
from bakery.errors import TemplateError, ViewError
from tests.templates.support import KINDS, OWN, assistant, ids_of, make_tokenizer, user

PLAIN = (OWN / "own" / "plain.jinja").read_text(encoding="utf-8")
WORDS = st.lists(
    st.sampled_from(["Rome", " ", "  ", "\n", "\n\n", "é", "東京", "🙂", "<|im_end|>", "</s>", ".", "a", "שלום"]),
    max_size=12,
).map("".join)


def test_a_slow_tokenizer_is_refused():
    class Slow:
        is_fast = False

    with pytest.raises(TemplateError, match="slow tokenizer"):
        Encoder(Slow())


def test_a_tokenizer_that_cannot_keep_words_apart_is_refused():
    tokenizer = make_tokenizer("{% for m in messages %}{{ 'pirate ' + m.content }}{% endfor %}", "words", tags=False)
    tokenizer.add_tokens(["pirate"])
    with pytest.raises(ViewError, match="control token even of the word 'pirate'"):
        Encoder(tokenizer).encode(Renderer(tokenizer).render([user("a pirate here")]))


@settings(max_examples=60, deadline=None, database=None)
@given(kind=st.sampled_from(KINDS[:4]), adds_bos=st.booleans(), question=WORDS, answer=WORDS)
def test_tokens_are_those_of_transformers_and_stand_for_their_characters(kind, adds_bos, question, answer):
    tokenizer = make_tokenizer(PLAIN, kind, adds_bos=adds_bos)
    row = [user(question), assistant(answer)]
    text = Renderer(tokenizer).render(row)
    tokens = Encoder(tokenizer).encode(text)
    assert tokens.ids == ids_of(tokenizer, row)
    ends = [0]
    for start, end in tokens.offsets:
        assert start <= end <= len(text.text)
        assert start <= ends[-1], "no character is left out"
        ends.append(max(end, ends[-1]))
    assert ends[-1] == len(text.text)


@settings(max_examples=60, deadline=None, database=None)
@given(kind=st.sampled_from(KINDS[:4]), rows=st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=6))
def test_a_remembered_head_changes_no_token(kind, rows):
    tokenizer = make_tokenizer(PLAIN, kind)
    encoder, truth = Encoder(tokenizer), Encoder(tokenizer)
    for question, answer in rows:
        text = Renderer(tokenizer).render([user("A long prefix. " * 9), user(question), assistant(answer)])
        known = encoder.encode(text, since=len(text.text) - 5)
        whole = truth.encode(text)
        assert known.ids == whole.ids
        assert known.offsets == whole.offsets[known.skipped :]


@settings(max_examples=60, deadline=None, database=None)
@given(kind=st.sampled_from(KINDS[:4]), question=WORDS, answer=WORDS, share=st.floats(0, 1), fraction=st.floats(0, 1))
def test_a_context_has_the_tokens_that_it_has_alone(kind, question, answer, share, fraction):
    tokenizer = make_tokenizer(PLAIN, kind)
    text = Renderer(tokenizer).render([user("Be brief. " * 9), user(question), assistant(answer)])
    assume(text.pieces is None)  # no context ends within a word of the data
    end, since = int(share * len(text.text)), int(fraction * len(text.text))
    encoder, truth = Encoder(tokenizer), Encoder(tokenizer)
    tokens, context = encoder.encode_with_context(text, end, since)
    assert context == truth.encode(text[:end]).ids
    assert tokens.ids == truth.encode(text).ids


@settings(max_examples=60, deadline=None, database=None)
@given(kind=st.sampled_from(KINDS[:4]), prefix=WORDS, question=WORDS, answer=WORDS, share=st.floats(0, 1))
def test_texts_that_end_alike_share_their_tokens(kind, prefix, question, answer, share):
    tokenizer = make_tokenizer(PLAIN, kind)
    row, renderer = [user(question), assistant(answer)], Renderer(tokenizer)
    longer, shorter = renderer.render([user(prefix), *row]), renderer.render(row)
    since = int(share * len(shorter.text))
    encoder, truth = Encoder(tokenizer), Encoder(tokenizer)
    tokens = encoder.behind_another(longer, shorter, encoder.encode(shorter, since), most=since)
    if tokens is not None:
        whole = truth.encode(longer)
        assert tokens.ids == whole.ids
        assert tokens.offsets == whole.offsets[tokens.skipped :]
        assert len(tokens.ids) - tokens.skipped == len(tokens.offsets)
        first = len(longer.text) - len(shorter.text) + since
        assert all(end <= first for _, end in whole.offsets[: tokens.skipped]), "no token behind `since` is left out"


def test_the_tokens_of_a_row_are_shared_behind_a_prefix():
    tokenizer = make_tokenizer(PLAIN)
    row, renderer, encoder = [user("Who?"), assistant("Me.")], Renderer(tokenizer), Encoder(tokenizer)
    longer, shorter = renderer.render([user("You are Ada."), *row]), renderer.render(row)
    most = len(renderer.render(row[:1], generation_prompt=True).text)
    assert encoder.behind_another(longer, shorter, encoder.encode(shorter), most) is not None
    other = renderer.render([user("You are Ada."), user("Who?"), assistant("You.")])
    assert encoder.behind_another(other, shorter, encoder.encode(shorter), most) is None


def test_a_control_token_across_the_end_of_a_prefix_is_seen():
    tokenizer = make_tokenizer(PLAIN)
    tokenizer.add_tokens(["\n<|im_start|>"])
    row, renderer, encoder = [user("Who?"), assistant("Me.")], Renderer(tokenizer), Encoder(tokenizer)
    longer, shorter = renderer.render([user("You are Ada."), *row]), renderer.render(row)
    tokens = encoder.behind_another(longer, shorter, encoder.encode(shorter, since=9), most=9)
    assert tokens is None or tokens.ids == Encoder(tokenizer).encode(longer).ids


def test_a_tokenizer_set_to_cut_is_not_obeyed():
    tokenizer = make_tokenizer(PLAIN)
    before = Encoder(tokenizer).encode(Text("one two three four")).ids
    tokenizer("one two three four", truncation=True, max_length=2)
    assert Encoder(tokenizer).encode(Text("one two three four")).ids == before
