"""The verdict: every level from figures made to be so, the worst one counts, and scripts are stopped by it."""

from dataclasses import replace
from pathlib import Path

import pytest

from bakery.engine.distill.conditions import BAKED, BASE, PROMPTED
from bakery.errors import VerdictError
from bakery.evaluation.findings import unproved
from bakery.evaluation.proof import MergeCheck, TrainingEnd
from bakery.evaluation.verdict import conclusion, refuse_under, verdict
from bakery.report.summary import summary
from tests.proof_support import made_proof, nats, share

END = TrainingEnd(steps=900, epochs=30.0, limit=None, falling=False, rows=160, anchors=64, loss=0.001)


def changed(condition, **figures):
    """A good proof whose main set has other figures for a condition."""
    proof = made_proof()
    score = proof.main_set
    scores = {**score.conditions, condition: replace(score.conditions[condition], **figures)}
    return replace(proof, sets={proof.measured_on: replace(score, conditions=scores)})


def right(base, prompted, baked):
    """A good proof with these shares of right answers."""
    proof = made_proof()
    shares = {BASE: base, PROMPTED: prompted, BAKED: baked}
    scores = {
        who: replace(score, accuracy=share(shares[who], high=shares[who])) if who in shares else score
        for who, score in proof.main_set.conditions.items()
    }
    return replace(proof, sets={proof.measured_on: replace(proof.main_set, conditions=scores)})


def few(count):
    """A good proof over so many questions."""
    proof = made_proof()
    divergence = replace(proof.divergence, after=replace(proof.divergence.after, n=count))
    return replace(proof, divergence=divergence)


def unlike(top_1):
    """A good proof without expected answers, whose baked model chooses this share of the prompted one's tokens."""
    proof = made_proof(accuracy=None)
    shares = {**proof.divergence.top_1, BASE: share(0.5), BAKED: share(top_1)}
    return replace(proof, divergence=replace(proof.divergence, top_1=shares))


@pytest.mark.parametrize(
    ("proof", "level"),
    [
        (made_proof(), "good"),
        (made_proof(before=2.0, after=0.3), "partial"),
        (made_proof(before=2.0, after=0.19), "partial"),  # 90.5 %, and no more than 88.5 % for sure
        (made_proof(before=2.0, after=1.2), "failed"),
        (made_proof(before=2.0, after=1.99), "failed"),
        (made_proof(before=2.0, after=2.5), "harmful"),
        (made_proof(gap=0.001, largest_row=0.01, before=0.001, after=0.0), "unknown"),
        (made_proof(measured_on="training"), "unknown"),
        (few(15), "unknown"),
        (few(16), "good"),
        (made_proof(measured_on="eval", leaks={"eval_file": 1}), "unknown"),
        (made_proof(measured_on="heldout", leaks={"eval_file": 1}), "good"),
        (changed(PROMPTED, stopped=share(0.79)), "unknown"),
        (changed(PROMPTED, stopped=share(0.8)), "good"),
        (changed(BAKED, stopped=share(0.9)), "partial"),
        (changed(BAKED, stopped=share(0.4)), "harmful"),
        (right(0.1, 0.9, 0.4), "failed"),
        (right(0.1, 0.9, 0.8), "partial"),
        (right(0.1, 0.9, 0.88), "good"),
        (right(0.85, 0.9, 0.86), "good"),  # the prompt changes hardly any answer
        (unlike(0.8), "partial"),
        (unlike(0.86), "good"),
        (made_proof(side_effects={"neutral": nats(0.49)}), "good"),
        (made_proof(side_effects={"neutral": nats(0.5)}), "partial"),
        (made_proof(side_effects={"neutral": nats(0.0), "anchor_file": nats(1.0)}), "harmful"),
        (made_proof(merged=MergeCheck(nats(0.5), share(0.9), 3.0, 0.5)), "partial"),
    ],
)  # fmt: skip
def test_a_bake_gets_the_verdict_that_its_figures_leave_room_for(proof, level):
    reached = verdict(proof)
    assert reached.level == level, reached
    assert reached.reasons
    assert reached.usable == (level in ("good", "partial"))
    assert reached.headline.startswith(level.capitalize())


def test_the_worst_that_applies_counts():
    assert verdict(made_proof(before=2.0, after=1.2, measured_on="training")).level == "failed"
    assert verdict(made_proof(before=2.0, after=0.5, measured_on="training")).level == "unknown"
    assert verdict(made_proof(before=2.0, after=1.2, side_effects={"neutral": nats(2.0)})).level == "harmful"


def test_a_good_verdict_names_the_drift_beside_the_headline():
    reasons = verdict(made_proof(side_effects={"neutral": nats(0.03)})).reasons
    assert reasons == (
        "95.0% of the gap to the prompted model is closed.",
        "Under other prompts the model has changed a little (0.03 nats per token from the base, neutral prompts).",
    )


SHORT = made_proof(before=2.0, after=1.2)


@pytest.mark.parametrize(
    ("end", "advice"),
    [
        (replace(END, limit="max_steps: 9", falling=True, epochs=2.0), "raise max_steps, or leave it out"),
        (replace(END, learning_rate=5.0, usual_rate=1e-3), "lower it to about 0.001, or leave it out"),
        (replace(END, untouched=("The code is 41.",)), "Add a training prompt about each"),
        (END, "Too few questions: the 160 training rows are learned (0.001 nats per token)"),
        (replace(END, loss=1.1, rank=1), "The adapter is too small"),
    ],
    ids=["undertrained", "learning rate", "untouched", "few questions", "rank"],
)
def test_the_advice_is_told_apart_by_what_was_measured(end, advice):
    told = [finding for finding in verdict(replace(SHORT, training=end)).reasons if advice in finding]
    assert len(told) == 1
    others_told = {"raise max_steps", "lower it to", "Add a training prompt", "Too few", "too small"}
    assert sum(word in " ".join(verdict(replace(SHORT, training=end)).reasons) for word in others_told) == 1


def test_nothing_is_told_twice():
    proof = replace(SHORT, training=END)
    said = verdict(proof).reasons
    assert len(said) == len(set(said))
    assert not set(said) & {finding.text for finding in summary(proof).others}


def test_a_script_is_stopped_below_its_share_and_by_harm():
    refuse_under(SHORT, None)
    refuse_under(SHORT, 0.4)
    with pytest.raises(VerdictError, match=r"fail_under 0.41: 40.0% of the gap is closed, and the verdict is failed"):
        refuse_under(SHORT, 0.41)
    with pytest.raises(VerdictError, match="the verdict is harmful"):
        refuse_under(made_proof(side_effects={"neutral": nats(1.5)}), 0.5)


def test_without_a_proof_nothing_is_known_and_the_last_sentence_says_what_to_do():
    told = conclusion(unproved(replace(END, limit="max_steps: 9", falling=True), Path("out")))
    assert (told.level, told.usable) == ("unknown", False)
    assert told.reasons[-1].endswith("bakery eval --adapter out")
