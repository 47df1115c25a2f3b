"""An adapter at several strengths: the best is the cheapest, the main one is the trained one, tables fit 80 columns."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bakery.report.strengths import EvalResult, cost, eval_figures, print_eval, print_gap, sweep_figures, write_eval
from tests.proof_support import made_proof, nats


def at(after: float, drift: float):
    return made_proof(after=after, side_effects={"neutral": nats(drift)})


@pytest.fixture
def swept(tmp_path):
    proofs = ((0.0, at(2.0, 0.0)), (0.75, at(0.2, 0.1)), (1.0, at(0.1, 0.3)), (1.5, at(0.3, 0.9)))
    return EvalResult(Path("outputs/x"), "starter", tmp_path / "eval", proofs, {"gap": 1.23456})


def shown(print_it, thing) -> str:
    file = io.StringIO()
    print_it(thing, Console(file=file, width=80))
    return file.getvalue()


def test_the_best_strength_is_where_missing_and_drift_are_smallest_together(swept):
    assert swept.best == 0.75
    assert [cost(proof) for _, proof in swept.proofs] == pytest.approx([2.0, 0.3, 0.4, 1.2])
    assert cost(made_proof(after=0.5, side_effects={})) == 0.5


def test_the_trained_strength_is_shown_in_full_where_it_was_proved(swept):
    assert swept.main[0] == 1.0
    assert replace(swept, proofs=swept.proofs[:2]).main[0] == 0.75


def test_of_equal_strengths_the_one_nearest_to_the_trained_is_best(swept):
    same = tuple((strength, at(0.1, 0.1)) for strength in (0.5, 0.75, 1.25))
    assert replace(swept, proofs=same).best == 0.75


def test_a_point_of_the_sweep_is_that_of_its_proof():
    proof = made_proof(after=0.5, accuracy=None, side_effects={})
    point = {"strength": 0.5, "share_closed": 0.75, "divergence": 0.5, "drift": None, "accuracy": None, "cost": 0.5}
    assert sweep_figures(0.5, proof) == point


def test_what_is_written_is_what_is_told(swept):
    write_eval(swept)
    folder = swept.output_dir
    assert {path.name for path in folder.iterdir()} == {"results.json", "answers.jsonl", "report.html"}
    figures = json.loads((folder / "results.json").read_text("utf-8"))
    assert figures == json.loads(json.dumps(eval_figures(swept)))
    assert (figures["strength"], figures["best_strength"], figures["seconds"]) == (1.0, 0.75, {"gap": 1.235})
    assert "Distances by strength of the adapter" in (folder / "report.html").read_text("utf-8")


def test_the_terminal_shows_every_strength_and_marks_the_best(swept):
    text = shown(print_eval, swept)
    assert all(len(line) <= 80 for line in text.splitlines())
    (best,) = (line for line in text.splitlines() if "best" in line)
    assert best.split()[0] == "0.75"
    assert "Strength" not in shown(print_eval, replace(swept, proofs=swept.proofs[2:3]))


def test_a_gap_of_nothing_says_what_a_bake_would_ask_for():
    assert "--allow_no_gap" in shown(print_gap, made_proof(gap=0.001, largest_row=0.01).gap)
    assert "--allow_no_gap" not in shown(print_gap, made_proof().gap)
