"""Several adapters beside one another: each has the figures that its own proof has, from the same rows and seeds."""

import pytest

from bakery.engine.distill.conditions import BAKED, BASE, PROMPTED, Condition
from bakery.evaluation.measured_adapters import comparable_rows, measure_adapters, work
from bakery.evaluation.proving import measure_proof
from bakery.progress import ProgressCallback
from tests.engine_support import shake, tiny_model
from tests.proof_support import baseline_of, proof_rows

OTHER = Condition((("other", 1.0),))
RULES = [{"name": "short", "max_words": 4}, {"name": "says sea", "must_contain": "sea", "when": "sea"}]


class Counted(ProgressCallback):
    """Adds up the work done."""

    done = 0

    def __call__(self, amount, tokens=0, *, reused=False):
        self.done += amount


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The baseline of a model with two adapters, what both did, and the proof of each adapter in a model of its own."""
    rows = proof_rows(RULES)
    model = tiny_model(trained=True)
    model.add_adapter("other", model.peft_config["default"])
    model.set_adapter("other")
    shake(model, seed=8)
    model.set_adapter("default")
    baseline = baseline_of(tmp_path_factory.mktemp("two"), model, rows=comparable_rows(rows))
    counted = Counted()
    both = measure_adapters(baseline, [BAKED, OTHER], counted)
    alone = [
        measure_proof(baseline_of(tmp_path_factory.mktemp("alone"), shake(tiny_model(), seed), rows=rows))
        for seed in (3, 8)
    ]
    return baseline, both, dict(zip((BAKED, OTHER), alone, strict=True)), counted.done


def near(one, other):
    assert (one.mean, one.low, one.high, one.n) == pytest.approx((other.mean, other.low, other.high, other.n), abs=1e-4)


@pytest.mark.parametrize("condition", [BAKED, OTHER])
def test_every_figure_is_that_of_the_adapters_own_proof(measured, condition):
    _, both, alone, _ = measured
    proof = alone[condition]
    figures = {(figure.name, figure.about): figure.of(condition) for figure in both.figures}
    near(figures["divergence", "heldout"], proof.divergence.after)
    near(figures["share_closed", "heldout"], proof.divergence.share_closed)
    near(figures["right", "heldout"], proof.main_set.conditions[BAKED].accuracy)
    near(figures["same", "heldout"], proof.main_set.conditions[BAKED].agreement)
    near(figures["drift", "neutral"], proof.side_effects["neutral"])
    for score in proof.rules:
        near(figures["rule", score.name], score.conditions[BAKED])
    assert len(figures) == len(both.figures) == 5 + len(RULES)


def test_base_and_prompted_are_those_of_the_proof_too(measured):
    _, both, alone, _ = measured
    proof = alone[BAKED]
    figures = {(figure.name, figure.about): figure for figure in both.figures}
    near(figures["divergence", "heldout"].of(BASE), proof.divergence.before)
    for condition in (BASE, PROMPTED):
        near(figures["right", "heldout"].of(condition), proof.main_set.conditions[condition].accuracy)
        near(figures["rule", "short"].of(condition), proof.rules[0].conditions[condition])
    assert figures["rule", "says sea"].prompts == ("asked row 7",)


def test_the_adapters_are_two_and_every_question_has_all_replies(measured):
    baseline, both, alone, done = measured
    (divergence,) = (figure for figure in both.figures if figure.name == "divergence")
    assert divergence.of(BAKED).mean != pytest.approx(divergence.of(OTHER).mean, rel=1e-3)
    for number, answered in enumerate(both.questions["heldout"]):
        assert set(answered.replies) == set(answered.right) == {BASE, PROMPTED, BAKED, OTHER}
        for condition, proof in alone.items():
            assert answered.replies[condition] == proof.main_set.questions[number].replies[BAKED]
    assert done == 2 * work(baseline.rows), "the bar of the stage ends where it should"


def test_nothing_is_measured_that_is_not_compared(measured):
    baseline, _, _, _ = measured
    assert (baseline.generalisation, baseline.noise, baseline.rows.examples) == ({}, None, 0)
    assert baseline.rows.work[0] > 0
