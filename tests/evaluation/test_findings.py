"""The sentences about the figures: every threshold from both sides, the most serious first."""

from dataclasses import replace
from pathlib import Path

import pytest

from bakery.evaluation.findings import findings, unproved
from bakery.evaluation.proof import TITLES, TrainingEnd
from tests.proof_support import made_proof, nats, share, texts


@pytest.mark.parametrize(
    ("after", "level", "sentence"),
    [
        (0.1, "good", "95.0% of the gap to the prompted model is closed."),
        (0.1999, "warning", "90.0% of the gap to the prompted model is closed, but on other questions it may be 88%"),
        (0.3, "warning", "The bake is incomplete: 85% of the gap"),
        (1.0, "warning", "The bake is incomplete: 50% of the gap"),
        (1.2, "warning", "The bake failed: only 40% of the gap"),
        (1.99, "warning", "The adapter changes nothing"),
        (2.01, "warning", "The adapter changes nothing"),
        (2.2, "warning", "The bake did harm: the baked model is further from the prompted one (2.2 nats per token)"),
    ],
)
def test_a_bake_is_called_what_it_is(after, level, sentence):
    proof = made_proof(before=2.0, after=after)
    assert sentence in texts(proof, level)
    assert bool(texts(proof, "good")) == (level == "good")


def test_without_a_gap_nothing_is_called_good():
    proof = made_proof(gap=0.001, largest_row=0.01, before=0.001, after=0.0)
    assert "The prompt changes (almost) nothing here" in texts(proof, "warning")
    assert not texts(proof, "good")


def test_the_most_serious_finding_is_first():
    proof = made_proof(before=2.0, after=0.1, elsewhere=0.4, side_effects={"anchor_file": nats(0.5)})
    levels = [finding.level for finding in findings(proof)]
    assert levels == ["warning", "good", "note"]


def test_drift_on_the_users_own_rows_is_a_warning_and_on_neutral_ones_a_note_until_it_is_much():
    for name, level in (("anchor_file", "warning"), ("neutral", "note")):
        told = "Under other prompts the model has changed"
        text = texts(made_proof(side_effects={name: nats(0.11)}), level)
        assert f"{told} somewhat (0.11 nats per token from the base, {TITLES[name]})." in text
        assert told not in texts(made_proof(side_effects={name: nats(0.09)}), level)
    assert "has changed a lot" in texts(made_proof(side_effects={"neutral": nats(0.5)}), "warning")


def test_drift_is_told_once_and_worst_first():
    proof = made_proof(side_effects={"anchor_file": nats(0.2), "neutral": nats(0.7)})
    told = texts(proof, "warning") + texts(proof, "note")
    assert told.count("Under other prompts") == 1
    assert "has changed a lot (0.7 nats per token from the base, neutral prompts)" in told


def test_the_advice_against_drift_follows_from_the_anchors_there_were():
    drift = {"neutral": nats(0.7)}
    end = TrainingEnd(steps=9, epochs=30.0, limit=None, falling=False)
    without, with_some = (
        texts(made_proof(side_effects=drift, training=replace(end, anchors=count)), "warning") for count in (0, 37)
    )
    assert "There were no anchors, which prevent that: leave self_anchors at auto" in without
    assert "The 37 anchors, which were to prevent that, are not like these prompts" in with_some
    assert "no anchors" not in with_some


def test_fewer_right_answers_are_a_warning_only_where_the_interval_excludes_the_prompted_share():
    for high, level in ((0.89, "warning"), (0.91, "note")):
        proof = made_proof(accuracy=0.9, baked_accuracy=share(0.8, high=high))
        assert "answers fewer held-out questions correctly: 80%, the prompted model 90%" in texts(proof, level)
    assert "correctly" not in texts(made_proof(accuracy=0.9, baked_accuracy=share(0.86)), "note")


def test_a_weak_effect_elsewhere_is_a_note_with_its_remedy():
    assert "only 40% of the gap is closed; train on more varied prompts" in texts(made_proof(elsewhere=0.4), "note")
    assert "more varied prompts" not in texts(made_proof(elsewhere=0.5), "note")


def test_the_prompt_is_advised_against_where_it_moves_the_baked_model_away():
    assert "Use the baked model without the prompt" in texts(made_proof(after=0.1, baked_prompted=0.3), "note")
    assert "without the prompt" not in texts(made_proof(after=0.1, baked_prompted=0.2), "note")


def test_answers_of_another_length_are_noted():
    assert "have 13 tokens on average, prompted ones 10" in texts(made_proof(length=13.0), "note")
    assert "tokens on average" not in texts(made_proof(length=12.0), "note")


def test_figures_from_rows_that_were_trained_on_are_never_unsaid():
    proof = made_proof(measured_on="training", leaks={"eval_file": 3})
    assert "Measured on training rows" in texts(proof, "warning")
    assert "3 rows of eval_file were trained on as well" in texts(proof, "note")


def test_answers_that_were_left_out_as_their_thoughts_were_cut_are_counted():
    assert "3 of the teacher's answers were cut in their thoughts" in texts(made_proof(cut_in_thoughts=3), "note")
    assert "thoughts" not in texts(made_proof(), "note")


def test_what_was_missing_is_said_in_the_words_of_the_settings():
    end = TrainingEnd(steps=6, epochs=3.0, limit="num_train_epochs: 3", falling=True)
    short = replace(made_proof(before=2.0, after=1.0), training=end)
    assert "after 6 steps (num_train_epochs: 3) while the divergence was still falling" in texts(short, "warning")
    assert "raise num_train_epochs, or leave it out" in texts(short, "warning")
    assert "Undertrained" in texts(replace(short, divergence=made_proof(before=2.0, after=0.1).divergence), "note")


@pytest.mark.parametrize(("limit", "falling"), [(None, True), (None, False), ("max_steps: 900", False)])
def test_a_bake_that_ended_as_more_training_did_not_help_is_not_called_undertrained(limit, falling):
    end = TrainingEnd(steps=900, epochs=30.0, limit=limit, falling=falling)
    proof = replace(made_proof(before=2.0, after=1.0), training=end)
    assert "Undertrained" not in texts(proof, "warning") + texts(proof, "note")


def test_clauses_that_no_row_holds_are_named():
    clauses = tuple(f"The code {number} is secret." for number in range(5))
    end = TrainingEnd(steps=900, epochs=30.0, limit=None, falling=False, untouched=clauses)
    told = texts(replace(made_proof(before=2.0, after=1.0), training=end), "warning")
    assert 'never touch "The code 0 is secret.", "The code 1 is secret.", "The code 2 is secret." and 2 more' in told
    assert "Add a training prompt about each" in told


def test_without_a_proof_it_is_told_how_to_get_one_and_what_the_training_already_shows():
    end = TrainingEnd(steps=9, epochs=2.0, limit="max_steps: 9", falling=True, untouched=("The code is 41.",))
    first, second, *notes = unproved(end, Path("out/it is"))
    assert first.text.startswith("No proof was measured (proof: none)")
    assert second.text.endswith("run: bakery eval --adapter 'out/it is'")
    assert {first.limits, second.limits} == {"unknown"}
    assert [note.level for note in notes] == ["note", "note"]
    assert "Undertrained" in notes[0].text
    assert 'never touch "The code is 41."' in notes[1].text
    for nothing in (None, replace(end, falling=False, untouched=()), replace(end, limit=None, untouched=())):
        assert len(unproved(nothing, Path("out"))) == 2
