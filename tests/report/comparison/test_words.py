"""What a comparison says: which is better, where nothing can be told, and what to know before believing it."""

import pytest

from bakery.engine.distill.conditions import BASE, PROMPTED
from bakery.evaluation.paired import PairedFigure
from bakery.report.comparison.words import (
    assurance,
    cell,
    compared_with,
    difference_cell,
    headlines,
    judgement,
    label,
    sentence,
    warnings,
)
from tests.comparison_support import FIRST, SECOND, closed, drifted, made_result, names, right

GOOD = [True] * 40


def some(count: int) -> list[bool]:
    return [False] * count + [True] * (40 - count)


def said(figure: PairedFigure) -> tuple[str, str]:
    difference = figure.difference(SECOND, FIRST)
    return judgement(figure, difference), sentence(figure, "B", "A", difference)


BETWEEN = "in right answers between B and A"
UNDER = "under other prompts (neutral prompts) than A ("


@pytest.mark.parametrize(
    ("figure", "word", "start"),
    [
        (closed(0.9, 0.931), "better", "B closes 3.1 points more of the gap than A ("),
        (closed(0.931, 0.9), "worse", "B closes 3.1 points less of the gap than A ("),
        (drifted(0.1, 0.3), "worse", f"B has changed 0.22 nats per token more {UNDER}"),
        (drifted(0.3, 0.1), "better", f"B has changed 0.22 nats per token less {UNDER}"),
        (right(GOOD, some(20)), "worse", "B answers 50.0 points fewer of the held-out questions right than A ("),
        (right(some(20), GOOD), "better", "B answers 50.0 points more of the held-out questions right than A ("),
        (right(GOOD, some(2)), "unclear", f"No difference {BETWEEN} can be told from 40 questions (−"),
        (
            right(GOOD, GOOD),
            "unclear",
            f"No difference {BETWEEN} was seen on 40 questions, which could miss one of up to 4.7 points.",
        ),
        (right([True] * 3, [False] * 3), "unclear", f"A difference {BETWEEN} cannot be told from 3 questions; that"),
        (
            drifted(0.2, 0.2),
            "unclear",
            "No difference in drift (neutral prompts) between B and A was seen on 20 rows; how large it is on others",
        ),
    ],
)
def test_a_difference_is_said_in_a_sentence(figure, word, start):
    judged, text = said(figure)
    assert judged == word
    assert text.startswith(start)
    assert text.endswith(".")


@pytest.mark.parametrize("name", ["same", "rule", "divergence"])
def test_every_kind_of_figure_has_its_sentences_both_ways(name):
    figure = right(GOOD, some(20), about="a <rule>" if name == "rule" else "heldout")
    figure = PairedFigure(name, figure.about, figure.prompts, figure.counts, figure.sums)
    fewer, more = (sentence(figure, "B", "A", figure.difference(*two)) for two in ((SECOND, FIRST), (FIRST, SECOND)))
    assert fewer != more
    assert "{" not in fewer + more + label(figure)
    assert ("a <rule>" in fewer) is (name == "rule")
    assert judgement(figure, figure.difference(SECOND, FIRST)) == ("better" if name == "divergence" else "worse")


def test_the_interval_of_less_is_told_as_less():
    figure = closed(0.931, 0.9)
    told = figure.difference(SECOND, FIRST)
    assert told.low < told.high < 0
    _, text = said(figure)
    least, _, most = text.partition("(")[2].partition(")")[0].partition(" to ")
    assert 0 < float(least) <= 3.1 <= float(most)
    assert difference_cell(figure, told).value == "−3.1 points"
    assert difference_cell(figure, told).range == f"−{most} to −{least}"


def test_small_differences_are_not_rounded_to_nothing():
    _, text = said(closed(0.9990, 0.9994))
    assert text.startswith("B closes 0.04 points more")


def test_the_headline_tells_effect_and_answers_and_drift_where_it_differs():
    figures = [closed(0.9, 0.931, 0.9), right(GOOD, some(2), some(20)), drifted(0.1, 0.1, 0.3)]
    second, third = headlines(made_result(GOOD, some(2), some(20), figures=figures))
    assert second.startswith("B closes 3.1 points more of the gap than A (")
    assert "; no difference in right answers can be told from 40 questions (" in second
    assert "other prompts" not in second
    assert third.startswith("No difference in the share of the gap closed between C and A was seen on 20 questions; ")
    assert "; C answers 50.0 points fewer of the held-out questions right than A (" in third
    assert "; it has changed 0.22 nats per token more under other prompts" in third


def test_a_reader_is_warned_of_questions_that_were_trained_on():
    trained = {"trained_on": frozenset(names(10))}
    told = warnings(made_result(GOOD, GOOD, adapters=[{}, trained]))
    assert told == [
        "B was trained on 10 of the 40 questions: its figures on all of them do not tell how it does on others.",
        "Figures on the 30 questions that none is known to have been trained on are given as well.",
    ]
    few = warnings(made_result(GOOD, GOOD, adapters=[{}, {"trained_on": frozenset(names(30))}]))
    assert few[1].startswith("Only 10 questions are left that none is known to have been trained on: too few")


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({"trained_on": None, "same_prompt": None}, ["What B was trained on is not known, as its folder does not"]),
        ({"trained_on": None}, ["Whether B was trained on these questions is not known"]),
        ({"same_prompt": None}, ["Which prompt B was baked with is not known"]),
        ({"same_prompt": False}, ["B was baked with another prompt than that of this comparison,"]),
        ({"anchors": 3}, ["B was held in place on 3 of the rows that its drift is measured on"]),
        ({}, []),
    ],
)  # fmt: skip
def test_a_reader_is_warned_of_what_makes_an_adapter_another(about, expected):
    told = warnings(made_result(GOOD, GOOD, adapters=[{}, about]))
    assert len(told) == len(expected)
    assert all(text.startswith(start) for text, start in zip(told, expected, strict=True))


def test_a_reader_is_warned_of_too_little_to_measure():
    told = "\n".join(warnings(made_result(GOOD[:5], GOOD[:5], gap=0.001, left_out=("all 8 your prompts",))))
    for start in ("5 questions tell nothing about others", "The prompt changes (almost) nothing", "Left out, to keep"):
        assert start in told


def test_that_nothing_was_trained_on_is_said_only_where_it_is_known():
    assert assurance(made_result(GOOD, GOOD)) == "None of the 40 questions was trained on by any of the adapters."
    for about in ({"trained_on": None}, {"trained_on": frozenset(names(1))}):
        assert assurance(made_result(GOOD, GOOD, adapters=[{}, about])) == ""
    assert compared_with(made_result(GOOD, some(3))) == "The adapters answer 3 of 40 questions differently."


def test_figures_that_are_so_by_definition_have_no_interval():
    figure = closed(0.9, 0.95)
    assert [cell(figure, condition).value for condition in (BASE, PROMPTED, FIRST)] == ["0 %", "100 %", "90.0 %"]
    assert (cell(figure, PROMPTED).range, cell(drifted(0.1, 0.1), PROMPTED).value) == ("", "")
