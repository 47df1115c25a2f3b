"""Values against their fields: converted where nothing is lost, refused with what is allowed where they do not fit."""

import pytest

from bakery.errors import ConfigError
from bakery.settings.catalog import all_fields
from bakery.settings.fields import COMPUTED
from bakery.settings.values import check_value, from_words
from tests.settings.support import refusal

FIELDS = all_fields()


def test_every_default_is_itself_allowed():
    for item in FIELDS.values():
        if item.default is not COMPUTED and not (item.default is None and "null" not in item.kinds):
            assert check_value(item.default, item, "here") == item.default, item.name


@pytest.mark.parametrize(
    ("name", "value", "held"),
    [("max_steps", 1e3, 1000), ("learning_rate", 1, 1.0), ("save_steps", 5, 5.0), ("max_seq_length", None, None)],
)
def test_a_number_is_held_as_its_field_holds_it(name, value, held):
    read = check_value(value, FIELDS[name], "here")
    assert read == held
    assert type(read) is type(held)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("learning_rate", "1e-4x", "here: learning_rate: must be a number or null, got the text '1e-4x'"),
        ("num_trajectories", "4", "must be a whole number, got the text '4'; write it without quotes"),
        ("run_name", 5, "got the number 5; put it in quotes"),
        ("training_prompts", ["a", 3], "got the number 3 as item 2; put it in quotes"),
        ("teacher", "cache", "did you mean cached?"),
        ("seed", None, "must be a whole number, got null"),
        ("bf16", 1, "must be true or false, got the number 1"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_what_is_allowed(name, value, says):
    assert says in refusal(lambda: check_value(value, FIELDS[name], "here"))


@pytest.mark.parametrize("value", [10**400, -(2**63), float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("name", ["seed", "learning_rate", "logging_steps"])
def test_a_number_beyond_64_bits_is_one_short_line(name, value):
    problem = refusal(lambda: check_value(value, FIELDS[name], "here"))
    assert "finite" in problem
    assert len(problem) < 200


@pytest.mark.parametrize(
    ("name", "words", "value"),
    [
        ("bf16", [], True),
        ("target_modules", ["a", "b"], ["a", "b"]),
        ("target_modules", ["[a]"], ["a"]),
        ("max_seq_length", ["null"], None),
        ("run_name", ["5"], "5"),
        ("lr_scheduler_kwargs", ["{a: 1}"], {"a": 1}),
    ],
)
def test_words_of_a_command_line_are_read_as_their_field_wants_them(name, words, value):
    assert from_words(words, FIELDS[name], "here") == value


def test_a_value_that_is_missing_or_superfluous_is_refused():
    with pytest.raises(ConfigError, match="here: has no value; allowed is a number"):
        from_words([], FIELDS["learning_rate"], "here")
    with pytest.raises(ConfigError, match="takes one value, got 2: 1 2"):
        from_words(["1", "2"], FIELDS["learning_rate"], "here")
