"""Words for messages: near names, one-line excerpts, values in a few words."""

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakery.settings.catalog import all_fields
from bakery.text import describe, excerpt, first_line, listed, nearest, redacted, secrets_of, size, suggestion


@given(st.text(), st.integers(1, 80))
def test_an_excerpt_is_one_line_within_its_limit(text, limit):
    shown = excerpt(text, limit)
    assert len(shown) <= limit
    assert len(shown.splitlines()) <= 1
    assert shown == " ".join(text.split()) or shown.endswith("…")


def test_names_are_listed_up_to_a_limit():
    assert listed([]) == "none"
    assert listed({"a": 1, 2: 3}) == "a, 2"
    assert listed("abc", limit=2) == "a, b, ..."


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "null"),
        (True, "true"),
        (1.5, "the number 1.5"),
        ("a", "the text 'a'"),
        ({"a": 1}, "a mapping with the keys a"),
        ({}, "an empty mapping"),
        ((1, 2), "a list of 2"),
        (b"", "a bytes"),
    ],
)
def test_a_value_is_described_in_a_few_words(value, words):
    assert describe(value) == words


def test_no_description_is_long():
    for value in ("x" * 5000, 10**400, dict.fromkeys(range(5000)), [0] * 5000):
        assert len(describe(value)) < 100


def test_a_suggestion_names_the_nearest_name_or_the_fallback():
    assert suggestion("bkae", ["bake", "eval"], "verbs are bake, eval") == "did you mean bake?"
    assert suggestion("xyzzy", ["bake", "eval"], "verbs are bake, eval") == "verbs are bake, eval"


def typos(name):
    letters = string.ascii_lowercase + "_"
    for position in range(len(name) + 1):
        yield from (name[:position] + letter + name[position:] for letter in letters)
        if position < len(name):
            yield name[:position] + name[position + 1 :]
            yield from (name[:position] + letter + name[position + 1 :] for letter in letters)
        if position + 1 < len(name):
            yield name[:position] + name[position + 1] + name[position] + name[position + 2 :]


def test_single_edit_typos_over_all_fields_get_the_right_suggestion():
    known = all_fields()
    names = [*known, *(alias for item in known.values() for alias in item.aliases)]
    cases = sorted({(name, typo) for name in names for typo in typos(name) if typo and typo not in names})
    sample = [case for name in names for case in random.Random(name).sample([c for c in cases if c[0] == name], 6)]
    right = sum(nearest(typo, names) == name for name, typo in sample)
    assert right >= 0.95 * len(sample), f"{right} of {len(sample)}"


@pytest.mark.parametrize(
    ("typo", "name"),
    [
        ("bais", "bias"),
        ("sede", "seed"),
        ("Beta", "beta"),
        ("max-steps", "max_steps"),
        ("num_trajectory", "num_trajectories"),
    ],
)
def test_swapped_letters_capitals_hyphens_and_endings_are_near(typo, name):
    assert nearest(typo, all_fields()) == name


def test_bytes_are_told_in_units_of_a_thousand():
    assert [size(count) for count in (2e3, 3.4e6, 58e6, 22e9)] == ["2 kB", "3.4 MB", "58 MB", "22 GB"]


def test_secrets_are_found_by_their_names_and_shown_to_nobody():
    words = ["--hub_token", "first-secret", "second-secret", "--seed", "1234567", "--push_to_hub_token=third-secret"]
    secrets = secrets_of(words, {"HF_TOKEN": "fourth-secret", "HOME": "/home/somebody", "SHORT_KEY": "abc"})
    assert set(secrets) == {"first-secret", "second-secret", "third-secret", "fourth-secret"}
    said = "at first-secret second-secret third-secret fourth-secret 1234567 https://me:word@host/x hf_abcdefghij"
    assert redacted(said, secrets) == "at … … … … 1234567 https://…@host/x …"


def test_what_is_no_secret_is_left_alone():
    for said in ("https://host/a@b", "an hf_ prefix", "mail me@host"):
        assert redacted(said) == said


def test_an_error_is_told_by_its_first_line_or_its_name():
    assert first_line(ValueError("\n401: no token\nask for one")) == "401: no token"
    assert first_line(ValueError()) == "ValueError"
