"""The figures of a proof: pure statistics first, then which rows are asked and that none of them was trained on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakery.errors import DataError
from bakery.evaluation import estimates
from bakery.evaluation.evaluator import first_difference
from bakery.evaluation.proof_rows import count_leaks, keep_aside, neutral, proof_rows
from bakery.rows.bake_data import BakeData
from bakery.rows.conversations import Conversation
from bakery.rows.questions import ScoredQuestion

finite = st.floats(-1e6, 1e6)


def user(text: str, prefix=None, source: str = "here") -> Conversation:
    return Conversation(({"role": "user", "content": text},), prefix, source)


def question(text: str, source: str = "heldout row 1") -> ScoredQuestion:
    return ScoredQuestion(({"role": "user", "content": text},), ("yes",), source)


def data(**parts) -> BakeData:
    whole = {"prefix": ({"role": "system", "content": "Be brief."},), "train": [], "anchors": [], "validation": [],
             "heldout": [], "evaluation": [], "drift": []}  # fmt: skip
    return BakeData(**{**whole, **parts})


@settings(deadline=None)
@given(st.lists(finite, min_size=1, max_size=50))
def test_a_mean_lies_in_its_interval_and_within_the_values(values):
    found = estimates.mean(values)
    slack = 1e-6 * max(1.0, *(abs(value) for value in values))
    assert found.mean == pytest.approx(sum(values) / len(values), abs=slack)
    assert min(values) - slack <= found.low <= found.high <= max(values) + slack
    assert found.n == len(values)


def test_the_bootstrap_error_is_the_standard_error_of_a_mean():
    values = np.random.default_rng(1).normal(size=400)
    found = estimates.mean(list(values))
    assert found.stderr == pytest.approx(values.std(ddof=1) / 20, rel=0.05)
    assert found.high - found.low == pytest.approx(2 * 1.96 * found.stderr, rel=0.1)


def test_an_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(200):
        found = estimates.share(list((rng.random(60) < 0.3).astype(float)))
        held += found.low <= 0.3 <= found.high
    assert 180 <= held <= 198


def test_all_right_is_not_certainty():
    found = estimates.share([1.0] * 20)
    assert (found.mean, found.high) == (1.0, 1.0)
    assert estimates.mean([1.0] * 20).low == 1.0  # a mean of anything else is what it is
    assert 0.8 < found.low < 0.9
    assert estimates.share([0.0] * 20).high == pytest.approx(1 - found.low)


def test_a_ratio_weighs_tokens_not_prompts_and_draws_prompts_as_a_whole():
    one = estimates.ratio([10.0, 0.0], [10, 90])
    assert one.mean == pytest.approx(0.1)
    many = estimates.ratio([1.0] * 10 + [0.0] * 90, [1] * 100)
    assert many.mean == pytest.approx(0.1)
    assert one.stderr > 3 * many.stderr


def test_shares_are_paired():
    rng = np.random.default_rng(0)
    before = rng.exponential(size=50)
    closed = estimates.share_closed(list(before), list(0.1 * before))
    assert closed.mean == pytest.approx(0.9)
    assert closed.stderr < 1e-9  # the same share in every prompt: no doubt about it, however much the prompts differ
    assert estimates.share_closed([0.0, 0.0], [1.0, 0.0]) is None
    recovered = estimates.share_recovered([0.0, 0.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 0.0])
    assert recovered.mean == pytest.approx(2 / 3)
    assert estimates.share_recovered([1.0, 0.0], [0.0, 1.0], [1.0, 1.0]) is None


def test_nothing_has_no_mean():
    for call in (lambda: estimates.mean([]), lambda: estimates.ratio([1.0], [0.0])):
        with pytest.raises(ValueError, match=r"nothing|no value"):
            call()
    assert estimates.median([]) is None


@settings(deadline=None)
@given(st.lists(st.integers(0, 2), max_size=6), st.lists(st.integers(0, 2), max_size=6))
def test_the_first_difference_is_where_common_beginnings_end(one, other):
    place = first_difference(one, other)
    if place is None:
        assert one == other
    else:
        assert one[:place] == other[:place]
        assert one[place : place + 1] != other[place : place + 1]


def test_a_held_out_question_that_was_trained_on_is_refused():
    for said in ("Who are you?", "  who ARE\nyou? "):
        with pytest.raises(DataError, match="heldout row 1: this held-out question is trained on"):
            proof_rows(data(train=[user("Who are you?")], heldout=[question(said)]))
    proof_rows(data(train=[user("Who are you?")], heldout=[question("And who are you?")]))


def test_a_question_behind_another_prefix_is_another_question():
    other = ({"role": "system", "content": "Be long."},)
    assert count_leaks(data(train=[user("Hello!", other)], evaluation=[question("Hello!")])) == {}


def test_other_rows_that_were_trained_on_are_counted():
    found = data(
        train=[user("a"), user("b")],
        anchors=[user("x")],
        validation=[user("A"), user("c")],
        evaluation=[question("b"), question("c")],
        drift=[user("x"), user("y")],
    )
    assert count_leaks(found) == {"eval_file": 1, "eval_dataset": 1, "anchor_file": 1}


def answered(prompt: str, answer: str) -> Conversation:
    return Conversation(({"role": "user", "content": prompt}, {"role": "assistant", "content": answer}), None, prompt)


def test_prompts_are_kept_aside_with_all_their_rows():
    rows = [answered(f"question {number}", f"answer {k}") for number in range(40) for k in range(3)]
    found = keep_aside(data(train=rows), 0.1, seed=5, needed=False)
    kept, trained = ({row.source for row in part} for part in (found.validation, found.train))
    assert len(kept) == 4
    assert not kept & trained
    assert len(found.train) + len(found.validation) == len(rows)
    assert keep_aside(data(train=rows), 0.1, seed=5, needed=False) == found
    assert {row.source for row in keep_aside(data(train=rows), 0.1, seed=6, needed=False).validation} != kept


def test_rows_are_only_kept_aside_where_they_are_needed():
    many, few = [user(str(n)) for n in range(40)], [user(str(n)) for n in range(5)]
    for whole in (
        data(train=few),
        data(train=many, heldout=[question("?")]),
        data(train=many, validation=[user("v")]),
    ):
        assert keep_aside(whole, 0.1, 0, needed=False) == whole
    assert keep_aside(data(train=many), 0.0, 0, needed=True) == data(train=many)
    assert len(keep_aside(data(train=many, heldout=[question("?")]), 0.1, 0, needed=True).validation) == 4
    with pytest.raises(DataError, match="to stop early some prompts are kept aside, but there are only 3"):
        keep_aside(data(train=few[:3]), 0.1, 0, needed=True)


def test_the_divergence_is_measured_on_what_was_never_trained_on_first():
    train = [user(str(n)) for n in range(100)]
    held, validation = [question("h")], [user("v")]
    assert proof_rows(data(train=train, heldout=held, validation=validation)).measured[0] == "heldout"
    assert proof_rows(data(train=train, validation=validation)).measured[0] == "validation"
    last = proof_rows(data(train=train))
    assert last.measured[0] == "training"
    assert len(last.measured[1]) == 64
    assert set(last.sets) == {"training"}


def test_transparency_is_asked_under_other_prompts_and_spill_behind_the_prefix():
    systems, prompts = neutral()
    found = proof_rows(data(train=[user("a")], drift=[user("mine")]))
    assert {row.messages[0]["content"] for row in found.side_effects["neutral"]} == set(systems)
    assert [row.messages for row in found.generalisation["neutral"]] == [
        ({"role": "user", "content": p},) for p in prompts
    ]
    assert all(row.prefix is None for row in found.generalisation["neutral"])
    assert found.side_effects["anchor_file"] == found.generalisation["anchor_file"] == [user("mine")]
    own = ({"role": "system", "content": "Mine."},)
    by_row = proof_rows(data(prefix=None, train=[user("a", own)]))
    assert all(row.prefix == own for row in by_row.generalisation["neutral"])
    assert "neutral" not in proof_rows(data(prefix=None, train=[user("a")])).generalisation
