"""results.json is as documented, in plain numbers; answers.jsonl holds every answer."""

import json
import re
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import pytest

from bakery.report.results import results, write_json
from tests.proof_support import made_proof
from tests.report.conftest import TRAINED

DOCUMENT = Path(__file__).parents[2] / "docs" / "results.md"
WHO = {"base", "prompted", "baked", "baked_prompted"}


def keys(value, path: str = "") -> set[str]:
    """Every path in a JSON value; items of lists are `[]`."""
    if isinstance(value, dict):
        return set().union(*(keys(item, f"{path}.{name}" if path else name) for name, item in value.items()), set())
    if isinstance(value, list):
        return set().union(*(keys(item, f"{path}[]") for item in value), set())
    return {path}


def matches(key: str, pattern: str) -> bool:
    return fnmatch(key.replace("[]", "()"), pattern.replace("[]", "()"))


def test_every_key_is_documented_and_every_documented_key_is_there(bake_folder):
    written = keys(json.loads((bake_folder / "results.json").read_text("utf-8")))
    about = DOCUMENT.read_text("utf-8").partition("## compare.json")[0]
    documented = re.findall(r"^\| `([^`]+)` \|", about, flags=re.MULTILINE)
    assert [key for key in sorted(written) if not any(matches(key, pattern) for pattern in documented)] == []
    assert [pattern for pattern in documented if not any(matches(key, pattern) for key in written)] == []


def test_results_are_plain_numbers_with_their_schema(bake_folder):
    figures = json.loads((bake_folder / "results.json").read_text("utf-8"), parse_constant=pytest.fail)
    assert figures["schema"] == 3
    assert set(figures["scores"]) == {"heldout", "eval"}
    assert set(figures["scores"]["heldout"]) == WHO
    for who in WHO:
        assert set(figures["scores"]["heldout"][who]["accuracy"]) == {"mean", "stderr", "n", "low", "high"}
    assert figures["divergence"]["before"]["mean"] > 0
    assert figures["measured_on"] == "heldout"
    assert figures["drift"] == max(figures["side_effects"].values(), key=lambda figure: figure["mean"])
    assert figures["verdict"]["level"] in ("harmful", "failed", "unknown")
    assert figures["seconds"]["bake"] > 0
    assert figures["leaks"] == {"eval_file": 2}, "two of the four were taken for validation"
    assert len(figures["training"]["curve"]) >= 4


def test_every_figure_is_that_of_the_proof(result):
    figures, proof = results(result), result.proof
    assert figures["divergence"]["after"] == vars(proof.divergence.after)
    assert figures["rules"][0]["conditions"]["baked"]["mean"] == list(proof.rules[0].conditions.values())[2].mean
    assert figures["gap"]["none"] is proof.gap.is_none
    assert figures["spent"]["teacher"] == {"seconds": 0.1, "tokens": 0, "reused_tokens": 1_000}
    assert figures["break_even_requests"] is None, "a bake that is of no use never pays off"
    good = results(replace(result, proof=made_proof()))
    assert good["break_even_requests"] == 2000
    assert good["break_even_requests_merged"] == 1819
    assert good["verdict"]["level"] == "good"
    json.dumps(figures, allow_nan=False)


def test_the_folder_holds_every_answer(bake_folder):
    rows = [json.loads(line) for line in (bake_folder / "answers.jsonl").read_text("utf-8").splitlines()]
    assert [row["question"] for row in rows] == ["Who is there?", "Why not?", "How many?", *TRAINED]
    assert [row["set"] for row in rows] == ["heldout"] * 2 + ["eval"] * 5
    assert rows[0]["answer"] == ["Ahoy!"]
    assert all(set(row) > WHO and set(row["right"]) == WHO for row in rows)


def test_what_is_no_number_is_never_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "results.json", {"drift": float("nan")})
    assert not (tmp_path / "results.json").exists()
