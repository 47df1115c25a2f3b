"""The figures as people read them: short, never rounded to nothing, with their intervals."""

from pathlib import Path

import pytest

from bakery.engine.distill.conditions import BAKED
from bakery.evaluation.estimates import Estimate
from bakery.evaluation.evaluator import CONDITIONS
from bakery.evaluation.proof import MergeCheck, RuleScore
from bakery.report.summary import (
    COLUMNS,
    PayOff,
    decimal,
    nats,
    percent,
    sections,
    size,
    summary,
    summary_without_proof,
)
from tests.proof_support import made_proof, share
from tests.proof_support import nats as nats_of


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (0.000622, "0.0006"), (0.00002, "<0.0001"), (0.06534, "0.0653"), (1.4449, "1.44"), (17.25, "17.2")],
)
def test_figures_are_short_and_never_rounded_to_nothing(value, shown):
    assert decimal(value) == shown


def test_a_narrow_interval_is_not_shown_as_none():
    assert percent(Estimate(0.9998, 0.0001, 48, 0.9991, 1.0)).range == "99.9–100.0"
    assert percent(Estimate(0.5, 0.1, 48, 0.4, 0.6)).range == "40–60"
    assert percent(Estimate(1.0, 0.0, 1, 1.0, 1.0)).range == ""


def test_a_divergence_is_never_below_zero():
    assert nats(Estimate(0.001, 0.01, 9, -0.01, 0.02)).range == "0–0.02"


@pytest.mark.parametrize(
    ("count", "shown"),
    [(512, "512 B"), (1536, "1.5 KiB"), (3 << 20, "3 MiB"), (5 << 30, "5 GiB"), (1 << 42, "4.1e+03 GiB")],
)
def test_bytes_are_shown_in_their_unit(count, shown):
    assert size(count) == shown


def test_every_line_has_a_cell_for_every_column():
    rules = (RuleScore("greets", "regex", 10, dict.fromkeys(CONDITIONS, share(0.5))),)
    merged = MergeCheck(share(0.0), share(1.0), 0.1, 0.0)
    shown = sections(made_proof(rules=rules, merged=merged), PayOff(7, 6))
    assert list(COLUMNS) == list(CONDITIONS)
    assert all(len(cells) == len(COLUMNS) for lines in shown.values() for cells in lines.values())
    assert len(shown) == 5
    assert list(shown["Does it follow the rules?"]) == ["greets"]


def test_a_section_without_figures_is_not_shown():
    assert list(sections(made_proof(side_effects={}))) == ["Does it answer as if prompted?", "What does it save?"]


def test_what_was_not_measured_is_no_line():
    labels = [label for lines in sections(made_proof(accuracy=None)).values() for label in lines]
    assert not any("correct answers" in label for label in labels)
    assert not any("pays off" in label for label in labels)


def test_the_pay_off_is_told_of_bakes_that_can_be_used_and_of_no_others():
    baked = list(COLUMNS).index(BAKED)
    savings = sections(made_proof(), PayOff(3915, 3500))["What does it save?"]
    assert savings["requests until it pays off"][baked].value == "3,915"
    assert savings["requests until it pays off, merged"][baked].value == "3,500"
    failed = sections(made_proof(before=2.0, after=1.5), PayOff(3915, 3500))["What does it save?"]
    assert not any("pays off" in label for label in failed)


def test_the_largest_drift_comes_first_and_its_word_before_its_nats():
    drifts = {"neutral": nats_of(0.05), "anchor_file": nats_of(0.3)}
    lines = sections(made_proof(side_effects=drifts))["Is everything else unchanged?"]
    assert list(lines) == ["changed under your prompts", "changed under neutral prompts"]
    cells = [line[list(COLUMNS).index(BAKED)] for line in lines.values()]
    assert [cell.value for cell in cells] == ["somewhat", "a little"]
    assert cells[0].range == "0.3 (0.28–0.32)"


def test_what_is_known_without_a_proof_is_the_gap_and_no_figure_of_the_baked_model():
    told = summary_without_proof(made_proof().gap, None, Path("out"))
    ((title, lines),) = told.sections.items()
    base, _, baked, both = COLUMNS
    for line in lines.values():
        shown = dict(zip(COLUMNS, line, strict=True))
        assert shown[base].value in ("2", "30.0 %")
        assert (shown[baked].value, shown[both].value) == ("unknown", "")
    assert title == "How much does the prompt change?"
    assert "Measured before the training" in told.footnote("x")
    assert not told.answered
    nothing = summary_without_proof(None, None, Path("out"))
    assert (nothing.sections, nothing.footnote("x")) == ({}, "")


def test_the_footnote_names_the_rows_and_what_was_left_out():
    told = summary(made_proof(left_out=("4 of 20 held-out questions",)))
    assert "Measured on held-out questions. Left out, to keep the proof short: 4 of 20" in told.footnote("x")
