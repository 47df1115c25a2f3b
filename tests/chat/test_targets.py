"""Targets: what patterns leave of a message, and what they may not do."""

import pytest

from bakery.chat.views import build_views
from bakery.errors import ConfigError, ViewError
from tests.chat.support import PIRATE, ROW, learned
from tests.templates.support import assistant, user


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"Answer:.*", "Answer: 42.<|im_end|>"),
        (r"Answer: (\d+)", "42"),
        (r"(?m)^Because.*$", "Because six times seven."),
        (r"Answer: (.*)", "42.<|im_end|>"),
    ],
)
def test_only_what_the_span_pattern_matches_is_the_target(plain, pattern, expected):
    row = [user("What is it?"), assistant("Because six times seven.\nAnswer: 42.")]
    (pair,) = build_views(plain, row, prefix_messages=[PIRATE], target_span_pattern=pattern)
    assert learned(plain, pair) == expected


def test_a_span_pattern_must_match_whole_tokens_and_something(plain):
    row = [user("What is it?"), assistant("The capital of France")]
    with pytest.raises(ViewError, match="matches a part of the token"):
        build_views(plain, row, prefix_messages=[PIRATE], target_span_pattern="ital")
    with pytest.raises(ViewError, match="matches nothing"):
        build_views(plain, row, prefix_messages=[PIRATE], target_span_pattern="Answer")


def test_a_pattern_that_runs_away_is_stopped(plain):
    row = [user("What?"), assistant("a" * 60 + "!")]
    with pytest.raises(ViewError, match="takes more than"):
        build_views(plain, row, prefix_messages=[PIRATE], target_content_pattern=r"(?:(a|aa)+)+$")


@pytest.mark.parametrize("setting", ["target_content_pattern", "target_span_pattern"])
def test_a_pattern_that_does_not_compile_is_a_config_error(plain, setting):
    with pytest.raises(ConfigError, match=setting):
        build_views(plain, ROW, prefix_messages=[PIRATE], **{setting: "("})
