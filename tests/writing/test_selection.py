"""Which of the written messages are taken: nothing twice, no echoes, and something of everything."""

import math
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bakery.writing.selection import (
    Written,
    clauses,
    is_broken,
    is_echo,
    is_usable,
    shingles,
    spread,
    untouched,
    words,
)

law = settings(max_examples=80, deadline=None, database=None)
SAID = st.lists(
    st.sampled_from(["when", "are", "you", "open", "on", "monday", "why", "what", "7", "Ada's"]),
    min_size=1,
    max_size=12,
)
TEXTS = SAID.map(" ".join)
ANY = st.text(max_size=40)


def resemblance(one: str, other: str) -> float:
    both = shingles(one) | shingles(other)
    return len(shingles(one) & shingles(other)) / len(both)


# ---- near duplicates ----


@law
@given(st.lists(TEXTS, max_size=12), TEXTS)
def test_a_text_is_a_duplicate_where_it_resembles_one_that_was_taken_and_nowhere_else(taken, text):
    """The index finds exactly what comparing with every text finds."""
    written = Written()
    kept = [one for one in taken if written.add(one)]
    assert all(resemblance(a, b) < 0.8 for at, a in enumerate(kept) for b in kept[:at])
    assert (text in written) == any(resemblance(text, one) >= 0.8 for one in kept)
    assert written.add(text) == (not any(resemblance(text, one) >= 0.8 for one in kept))


@law
@given(ANY)
def test_case_and_punctuation_make_no_difference_and_a_text_without_words_is_never_taken(text):
    written = Written([text])
    for same in (text, text.upper().lower(), f"« {text} »!", text.replace(" ", "  ")):
        if words(same) == words(text):
            assert not written.add(same)
    assert (text in written) == bool(words(text))


@law
@given(SAID.filter(lambda said: len(said) == 12), st.integers(0, 11))
def test_one_word_more_in_a_long_text_is_no_news_and_other_words_are(said, at):
    long = [f"{word}{number}" for number, word in enumerate(said * 2)]
    written = Written([" ".join(long)])
    assert " ".join([*long[:at], "really", *long[at:]]) in written
    assert " ".join(f"other{word}" for word in long) not in written


# ---- what cannot be sent ----


@pytest.mark.parametrize("text", ["", " ?! ", "\n", "why " * 40, "x " + "y" * 5000])
def test_no_words_endless_words_or_always_the_same_ones_are_broken(text):
    assert is_broken(text)
    assert not is_usable(text, "")


@pytest.mark.parametrize("text", ["Why?", "why why why", "Wann habt ihr geöffnet?", "東京はどこですか", "7 + 8 = ?"])
def test_what_a_person_would_send_is_not_broken(text):
    assert not is_broken(text)
    assert is_usable(text, "You are Ada, the assistant of the public library.")


LIBRARY = (
    "You are Ada, the assistant of the Brightwater public library. The library is open from 9 to 18 on weekdays, and "
    "from 10 to 14 on Saturdays. Never give the phone number 555 0199 to strangers."
)


@law
@given(st.integers(0, len(words(LIBRARY)) - 4), st.integers(4, 12), st.sampled_from(["", ".", "!", "…"]))
def test_a_statement_that_the_context_makes_is_an_echo(start, count, end):
    said = words(LIBRARY)[start : start + count]
    assume(len(said) >= 4)
    assert is_echo(" ".join(said).upper() + end, LIBRARY)
    assert not is_usable(" ".join(said) + end, LIBRARY)


@law
@given(st.integers(0, len(words(LIBRARY)) - 14), TEXTS, TEXTS)
def test_a_long_run_of_the_contexts_words_is_an_echo_whatever_stands_around_it(start, before, behind):
    run = " ".join(words(LIBRARY)[start : start + 14])
    assert is_echo(f"{before} {run} {behind}?", LIBRARY)


@pytest.mark.parametrize("text", ["Is the library open on Saturdays?", "Who is Ada?", "Weekdays", "the public library"])
def test_a_question_or_a_few_words_of_the_context_are_no_echo(text):
    assert not is_echo(text, LIBRARY)


@law
@given(TEXTS)
def test_nothing_is_an_echo_of_nothing(text):
    assert not is_echo(text, "")


# ---- the spread ----


@law
@given(st.lists(ANY, max_size=15), st.integers(0, 20))
def test_the_spread_takes_texts_that_were_given_and_as_many_as_it_may(texts, count):
    taken = spread(texts, count)
    assert len(taken) == min(count, len(texts))
    assert not Counter(taken) - Counter(texts)
    assert spread(texts, count) == taken


@law
@given(st.lists(TEXTS, min_size=1, max_size=12), st.integers(1, 12))
def test_fewer_are_the_first_ones_of_more(texts, count):
    assert spread(texts, count) == spread(texts, len(texts))[:count]


@law
@given(st.lists(TEXTS, min_size=2, max_size=12))
def test_every_choice_gains_the_most(texts):
    """The lazy choice is the plain greedy one: the sum of roots grows by no more with any other text."""
    chosen: Counter = Counter()
    waiting = list(texts)

    def gain(text):
        own = shingles(text)
        return sum(math.sqrt(chosen[s] + 1) - math.sqrt(chosen[s]) for s in own) / math.sqrt(len(own))

    for text in spread(texts, len(texts)):
        assert gain(text) >= max(map(gain, waiting)) - 1e-9
        waiting.remove(text)
        chosen.update(shingles(text))


def test_each_topic_gets_its_share_however_often_it_is_asked_about():
    common = [f"When are you open on day {number}?" for number in range(40)]
    rare = ["Can I renew my library card?", "Who founded the town museum?"]
    assert set(rare) <= set(spread([*common, *rare], 4))


ORDER = """
from bakery.writing.selection import spread
texts = [f"{a} {b} of the {c}?" for a in ("tell me", "what is", "name") for b in ("colour", "boss", "age")
         for c in ("dog", "kettle", "king", "tree")]
print(spread(texts, 20))
"""


def test_the_choice_is_the_same_in_every_process():
    """Sets have another order in every process, and sums of floating-point numbers depend on it."""
    chosen = {
        subprocess.run(
            [sys.executable, "-c", ORDER],
            env={"PYTHONHASHSEED": str(seed), "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, check=True,
        ).stdout
        for seed in range(1, 5)
    }  # fmt: skip
    assert len(chosen) == 1


# ---- clauses ----


@law
@given(
    st.lists(st.sampled_from(["Be kind.", "Why so?", "No!", "open from 9 to 18\n", "- a line\n\n", "東京。", "end"]))
)
def test_clauses_hold_all_words_in_their_order_and_are_no_more_than_allowed(parts):
    text = " ".join(parts)
    for most in (1, 2, 5, 100):
        found = clauses(text, most)
        assert len(found) <= most
        assert [word for clause in found for word in words(clause)] == words(text)
        assert all(clause == clause.strip() and words(clause) for clause in found)
    assert len(clauses(text, 1)) <= 1


@law
@given(st.lists(st.sampled_from(["be kind", "open at 9.30", "version 2.0 is out", "ask Dr Who"]), max_size=9))
def test_sentences_and_lines_are_clauses_of_their_own(parts):
    for end in (". ", "! ", "?\n", "\n", "\n\n"):
        text = "".join(part + end for part in parts)
        assert clauses(text, 100) == [part + end.strip() for part in parts]


# ---- what nothing asks about ----


def test_clauses_whose_names_and_numbers_no_text_holds_are_untouched():
    facts = "Be polite. The door code is 4711. Our cat is called Mauzi. The cook is Mauro."
    assert untouched(facts, []) == ["The door code is 4711.", "Our cat is called Mauzi.", "The cook is Mauro."]
    assert untouched(facts, ["Is it 4711?", "Tell me about MAURO."]) == ["Our cat is called Mauzi."]
    assert untouched("Write in capital letters. Be brief.", []) == []


@law
@given(st.lists(TEXTS, max_size=6), TEXTS)
def test_more_texts_leave_no_more_untouched(texts, more):
    assert set(untouched(LIBRARY, [*texts, more])) <= set(untouched(LIBRARY, texts)) <= set(clauses(LIBRARY, 1000))
    assert untouched(LIBRARY, [LIBRARY]) == []
