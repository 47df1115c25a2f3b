"""`proof: none`: a bake ends with its training, everything says so in the same words, and `bakery eval` proves it."""

import contextlib
import io
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from bakery.cli import main
from bakery.report.results import SCHEMA
from tests.browser_support import ALL_IN_SIGHT, needs_chromium, on_a_phone

ASKED = [f"What is {number}?" for number in range(6)]
WORDS = ["--system_prompt", "You are a pirate.", "--training_prompts", *ASKED, "--self_prompts", "0", "--use_cpu",
         "--self_anchors", "0", "--num_trajectories", "1", "--trajectory_length", "8", "--max_steps", "4",
         "--logging_steps", "1", "--allow_no_gap", "false"]  # fmt: skip
REPORT = "report.html", "README.md", "results.json"
DOCUMENT = Path(__file__).parents[2] / "docs" / "results.md"


@pytest.fixture(scope="module")
def unproved(saved_base, tmp_path_factory):
    """The folder of a bake without a proof over one with a proof, and what the terminal said."""
    folder = tmp_path_factory.mktemp("unproved") / "out"
    words = ["--model_name_or_path", saved_base, "--output_dir", str(folder), *WORDS]
    assert main([*words, "--proof", "quick", "-q"]) == 0
    assert (folder / "answers.jsonl").is_file()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bakery.baking.proof_of", None)
        patch.setenv("COLUMNS", "200")
        lines = _said(lambda: main([*words, "--proof", "none", "--overwrite"]))
    return SimpleNamespace(folder=folder, said=lines, results=json.loads((folder / "results.json").read_text("utf-8")))


def _said(run) -> str:
    """What a command writes to both streams, in one line."""
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        assert run() == 0
    return " ".join(stream.getvalue().split())


def _text(path: Path) -> str:
    return " ".join(re.sub("<[^>]*>", " ", path.read_text("utf-8")).split())


def test_everything_gives_the_same_verdict_and_says_what_to_do(unproved):
    reached = unproved.results["verdict"]
    assert reached["level"] == "unknown"
    assert reached["reasons"][0].startswith("No proof was measured (proof: none)")
    assert reached["reasons"][-1].endswith(f"bakery eval --adapter {unproved.folder}")
    for told in (unproved.said, *(_text(unproved.folder / name) for name in REPORT[:2])):
        for sentence in ("Unknown: what was measured does not tell", reached["reasons"][0]):
            assert sentence in told
        assert str(unproved.folder) in told.replace(" ", "")
        assert "bakery eval --adapter" in told


def test_what_is_known_is_shown_and_nothing_that_needs_a_proof(unproved):
    gap = unproved.results["gap"]
    assert gap["divergence"]["mean"] > 0
    assert not gap["none"]
    page = _text(unproved.folder / "report.html")
    for told in (unproved.said, page, _text(unproved.folder / "README.md")):
        assert "How much does the prompt change?" in told
        assert "unknown" in told
        for absent in ("Use it", "pays off", "correct answers", "Side by side", "answers.jsonl", "saved per request"):
            assert absent not in told
    assert "Distance from the prompted model while training" in page
    assert "Where the time went" in unproved.said
    assert "measuring the gap" in unproved.said
    assert "measuring the proof" not in unproved.said


def test_results_have_the_same_keys_and_those_that_the_document_names_are_null(unproved):
    results = unproved.results
    assert results["schema"] == SCHEMA
    (sentence,) = re.findall(r"With `proof: none` (.+?) are null", DOCUMENT.read_text("utf-8"), re.DOTALL)
    nothing = {key for key, value in results.items() if value is None}
    assert nothing == set(re.findall(r"`(\w+)`", sentence))
    assert (results["training"]["steps"], results["training"]["limit"]) == (4, "max_steps: 4")
    assert len(results["training"]["curve"]) >= 4
    assert results["spent"]["training"]["seconds"] > 0
    assert "proof" not in results["seconds"]
    assert set(results) == set(json.loads((unproved.folder / "results.json").read_text("utf-8")))


def test_answers_of_an_older_bake_are_gone_and_the_adapter_is_there(unproved):
    assert not (unproved.folder / "answers.jsonl").exists()
    assert (unproved.folder / "adapter_model.safetensors").is_file()
    assert "proof: none" in (unproved.folder / "bakery.yaml").read_text("utf-8")


def test_the_sentence_that_says_what_to_do_works_and_can_be_judged(unproved):
    command = unproved.results["verdict"]["reasons"][-1].partition("run: bakery ")[2].split()
    assert main([*command, "--fail_under", "0"]) in (0, 7)
    proved = json.loads((unproved.folder / "eval" / "results.json").read_text("utf-8"))
    assert proved["divergence"]["after"]["n"] > 0
    assert set(proved) - {"adapter", "strength", "sweep", "best_strength"} <= set(unproved.results)


@needs_chromium
def test_nothing_is_cut_off_on_a_phone(unproved, tmp_path):
    assert on_a_phone((unproved.folder / "report.html").read_text("utf-8"), tmp_path) == ALL_IN_SIGHT
