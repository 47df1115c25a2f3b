"""A forecast is told in one line, corrected only where it is noticeably wrong, and shown part by part for `--plan`."""

from dataclasses import replace

import pytest

from bakery.forecast.figures import Forecast, Memory, Pace, Part, Range, Rates
from bakery.forecast.words import correction, duration, line, table

GIB = 2**30
PACE = Pace(sampled=1e-3, passes=1e-3, read=1e-3, trained=1e-2)
MEMORY = Memory(2 * GIB, 0, GIB, GIB // 2, 0, 0, available=16 * GIB, device="device")
FORECAST = Forecast(
    parts=(
        Part("writing", Range(900, 900), Range(80, 80), Range(4, 4)),
        Part("training", Range(0, 0), Range(20_000, 20_000), Range(40, 40)),
    ),
    memory=MEMORY,
    rates=Rates(PACE, PACE),
    steps=Range(30, 30),
)
OPEN = replace(
    FORECAST,
    parts=(*FORECAST.parts[:1], replace(FORECAST.parts[1], seconds=Range(40, 400))),
    steps=Range(30, 300),
)


def test_one_line_holds_tokens_time_and_memory():
    told = line(FORECAST)
    assert "\n" not in told
    assert "44 s here for 900 tokens written and 20,000 read; 3.2 GB of memory" in told


def test_an_open_end_is_told_as_a_range_with_its_reason_and_its_limit():
    assert "44 s to 6.7 min" in line(OPEN)
    assert "until more does not help;" in line(OPEN)
    assert "until more does not help, 5 min at most;" in line(replace(OPEN, limit_minutes=5.0))


@pytest.mark.parametrize(
    ("memory", "remedy"),
    [
        (replace(MEMORY, activations=20 * GIB), "lower token_budget"),
        (replace(MEMORY, weights=20 * GIB), "load_in_4bit"),
    ],
)
def test_memory_that_does_not_suffice_is_said_with_what_to_do(memory, remedy):
    warned = line(replace(FORECAST, memory=memory)).splitlines()[1]
    assert "the device has 17 GB" in warned
    assert remedy in warned
    assert "It does not fit" in table(replace(FORECAST, memory=memory), "m")


@pytest.mark.parametrize(
    ("now", "told", "said"),
    [(60, 50, False), (100, 50, True), (20, 50, True), (1, 3, False), (45, 10, True)],
)
def test_a_correction_is_said_only_where_it_is_noticeable(now, told, said):
    assert bool(correction(Range(now, now), Range(told, told))) == said


def test_the_table_names_every_part_and_all_of_the_memory():
    shown = table(OPEN, "starter")
    for words in (
        "writing prompts",
        "training",
        "all",
        "weights",
        "activations",
        "memory of the device",
        "max_minutes",
    ):
        assert words in shown
    assert "30 to 300 steps" in shown
    assert "Nothing was trained and nothing written." in shown
    assert "steps" not in table(FORECAST, "starter").replace("max_steps", "")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (Range(0.2, 0.2), "0.2 s"),
        (Range(44, 44), "44 s"),
        (Range(12, 47), "12 to 47 s"),
        (Range(100, 100), "1.7 min"),
        (Range(40, 7200), "40 s to 2.0 h"),
    ],
)
def test_times_are_told_in_two_figures(seconds, words):
    assert duration(seconds) == words
