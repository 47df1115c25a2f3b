"""Chunks: together they say all of the text, none is too long, and no sentence is cut."""

import random
import re

import pytest

from bakery.errors import DataError
from bakery.rows.chunking import chunks_of


def words(text):
    return text.split()


def tokens(text):
    return len(words(text))


def cut(text, most):
    return chunks_of(text, most, tokens, "notes.md")


def written(seed):
    """A text of headings, lists, paragraphs and long paragraphs."""
    rng = random.Random(seed)
    sentence = lambda: " ".join(rng.choice("abcdefgh") * rng.randint(1, 5) for _ in range(rng.randint(1, 8))) + "."  # noqa: E731
    blocks = []
    for _ in range(rng.randint(1, 30)):
        kind = rng.random()
        if kind < 0.2:
            blocks.append(f"{'#' * rng.randint(1, 3)} {sentence()}")
        elif kind < 0.4:
            blocks.append("\n".join(f"- {sentence()}" for _ in range(rng.randint(1, 4))))
        else:
            blocks.append(" ".join(sentence() for _ in range(rng.randint(1, 6))))
    return "\n\n".join(blocks)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("most", [16, 24, 100, 10_000])
def test_chunks_say_all_in_order_and_none_is_longer_than_allowed(seed, most):
    text = written(seed)
    chunks = cut(text, most)
    assert words(" ".join(chunks)) == words(text)
    assert all(0 < tokens(chunk) <= most for chunk in chunks)
    for chunk in chunks:  # only the ends of paragraphs, lines and sentences are ends of chunks
        assert re.search(r"(?:[.]|^)$", chunk.splitlines()[-1])


@pytest.mark.parametrize("seed", range(20))
def test_a_chunk_is_a_part_of_the_text_as_it_was_written(seed):
    text = written(seed)
    assert all(chunk in text for chunk in cut(text, 24))


def test_paragraphs_stay_whole_and_are_taken_together_while_they_fit():
    assert cut("a b.\n\nc d.\n \n\ne f.", 4) == ["a b.\n\nc d.", "e f."]


def test_a_heading_stays_with_what_follows_it_and_begins_a_chunk_once_one_is_half_full():
    text = "# One\n\na b c d.\n\n## Two\n\ne f.\n\n## Three\n\ng h."
    assert cut(text, 9) == ["# One\n\na b c d.", "## Two\n\ne f.\n\n## Three\n\ng h."]
    assert cut(text, 16) == ["# One\n\na b c d.\n\n## Two\n\ne f.", "## Three\n\ng h."]


def test_a_long_paragraph_is_cut_at_the_ends_of_sentences_and_lines():
    assert cut("a b c. d e f.\ng h", 5) == ["a b c.", "d e f.\ng h"]
    assert cut("一。二。", 1) == ["一。二。"]


def test_a_sentence_longer_than_a_chunk_is_refused_with_the_way_out():
    with pytest.raises(DataError) as refused:
        cut("a b. c d e f g.", 4)
    said = str(refused.value)
    assert "notes.md: the sentence that begins with 'c d e f g.' has 5 tokens" in said
    assert "corpus_chunk_tokens" in said
    assert "\n" not in said
