"""Tokens are those of transformers and stand for their characters, whatever is cut, remembered or shielded."""

import pytest
from hypothesis import given, settings
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


def test_a_tokenizer_set_to_cut_is_not_obeyed():
    tokenizer = make_tokenizer(PLAIN)
    before = Encoder(tokenizer).encode(Text("one two three four")).ids
    tokenizer("one two three four", truncation=True, max_length=2)
    assert Encoder(tokenizer).encode(Text("one two three four")).ids == before
