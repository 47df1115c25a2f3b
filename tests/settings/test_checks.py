"""Checks: numbers in their ranges, nothing contradictory, each refusal with the location of its setting."""

import pytest

from bakery.errors import ConfigError
from bakery.settings.catalog import all_fields
from bakery.settings.checks import (
    PATH_KEYS,
    PREFIX_KEYS,
    RANGES,
    Range,
    bake_problems,
    refuse,
    retained_problems,
    validate,
)
from tests.settings.support import GOOD, refusal


def with_defaults(**given):
    return {name: item.default for name, item in all_fields().items()} | GOOD | given


def test_the_defaults_with_a_prefix_and_prompts_pass():
    validate(with_defaults())


def test_every_name_of_a_range_is_a_number_among_the_settings():
    for name in RANGES:
        assert all_fields()[name].kinds & {"int", "float"}, name


@pytest.mark.parametrize(
    ("allowed", "inside", "outside", "words"),
    [
        (Range(1), 1, 0, "at least 1"),
        (Range(above=True), 1e-9, 0, "above 0"),
        (Range(0, 1), 1, 1.5, "at least 0 and at most 1"),
        (Range(0, 1, below=True), 0, 1, "at least 0 and below 1"),
    ],
)
def test_a_range_holds_what_it_says(allowed, inside, outside, words):
    assert allowed.holds(inside)
    assert not allowed.holds(outside)
    assert str(allowed) == words


def test_validation_names_the_setting_by_its_location():
    values = {"training_prompts": ["a"], "prefix_messages": [{"role": "user", "content": "b"}], "beta": 2}
    with pytest.raises(ConfigError, match=r"^config.yaml line 9: beta: must be at least 0 and at most 1, got 2$"):
        validate(values, lambda name: f"config.yaml line 9: {name}")


@pytest.mark.parametrize("name", PATH_KEYS)
def test_an_empty_name_of_a_file_is_refused(name):
    given = {name: " "} | ({"training_prompts": None} if name == "dataset" else {})
    given |= {"prefix_messages": None} if name in PREFIX_KEYS else {}
    assert refusal(lambda: validate(with_defaults(**given))).startswith(f"{name}: is empty")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"system_prompt": "a"}, "the prefix is given twice"),
        ({"student_retained_turns": 1}, "covers all 1 message(s)"),
        ({"dataset": "a.json"}, "training rows are also given by dataset"),
        ({"eval_strategy": "steps"}, "validation needs rows"),
        ({"hub_model_id": "a/b"}, "no effect without push_to_hub"),
        ({"target_modules": [""]}, "names no layer"),
        ({"max_steps": 0}, "must be at least 1, or -1"),
        ({"target_span_pattern": ""}, "an empty pattern matches everything"),
        ({"anchor_prompts": [{"messages": [1]}]}, "prompt 1: message 1: must be a mapping"),
        ({"anchor_prompts": [{"messages": [], "tools": [{}]}]}, "prompt 1: tool 1 has a function without a name"),
    ],
)
def test_what_contradicts_itself_is_refused(given, says):
    assert says in refusal(lambda: validate(with_defaults(**given)))


def test_retained_turns_leave_the_student_something_to_be_without():
    assert not list(retained_problems(2, 1))
    assert "use at most 1" in refusal(lambda: refuse(retained_problems(2, 2)))


def test_only_a_bake_without_a_proof_cannot_be_judged_by_one():
    for proof in ("auto", "full", "quick"):
        assert not list(bake_problems({"fail_under": 0.9, "proof": proof}))
    assert not list(bake_problems({"fail_under": None, "proof": "none"}))
    told = refusal(lambda: refuse(bake_problems({"fail_under": 0.9, "proof": "none"})))
    assert "take out one of the two, or use proof: quick" in told
    validate(with_defaults(fail_under=0.9, proof="none"))  # an evaluation with the same settings has a proof
