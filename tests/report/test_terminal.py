"""What is written and shown: results.json is as documented, the code to copy runs, tables fit their terminal."""

import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import pytest
from rich.console import Console

from bakery.cli import main
from bakery.engine.distill.conditions import BAKED
from bakery.evaluation.estimates import Estimate
from bakery.progress import Spent
from bakery.report.results import BakeResult, results
from bakery.report.summary import decimal, percent
from bakery.report.terminal import model_card, print_proof, usage
from tests.engine_support import tiny_base, tiny_model, tokenizer
from tests.proof_support import proof_of, proof_rows

DOCUMENT = Path(__file__).parents[2] / "docs" / "results.md"
TRAINED = ["Hello!", "Who are you?", "Tell me a story.", "What is it?"]
SPENT = (Spent("load", 2.0), Spent("teacher", 0.1, 0, 1_000), Spent("training", 17.0, 34_000), Spent("other", 0.9))
RULES = [{"name": "short | brief", "max_words": 30}]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A tiny random model in a folder, as a user would name one."""
    folder = tmp_path_factory.mktemp("base")
    tiny_base().save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def bake_folder(base, tmp_path_factory):
    """A whole bake through the command line, with every kind of row that a proof knows."""
    folder = tmp_path_factory.mktemp("bake")
    asked = [("Who is there?", "Ahoy!", None), ("Why not?", "x", "contains")]
    files = {
        "heldout": [{"question": text, "answer": answer, "check": check} for text, answer, check in asked],
        "eval": [{"question": text, "answer": "y"} for text in ("How many?", *TRAINED)],
        "anchors": [
            {"messages": [{"role": "user", "content": "Good night."}]},
            {"messages": [{"role": "system", "content": "S."}, {"role": "user", "content": "Hm?"}]},
        ],
    }
    for name, rows in files.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {
        "model_name_or_path": str(base),
        "prefix_messages": [
            {"role": "system", "content": "Start every answer with Ahoy! You are a pirate called Marlow."}
        ],
        "training_prompts": TRAINED,
        "heldout_file": str(folder / "heldout.jsonl"),
        "eval_file": str(folder / "eval.jsonl"),
        "anchor_file": str(folder / "anchors.jsonl"),
        "rules": RULES,
        "weights": "merged",
        "output_dir": str(folder / "out"),
        "num_trajectories": 1,
        "trajectory_length": 8,
        "patience": 3,
        "max_steps": 4,
        "logging_steps": 1,
        "use_cpu": True,
    }
    path = folder / "bake.json"
    path.write_text(json.dumps(settings))
    assert main(["--config", str(path), "-q"]) == 0
    return folder / "out"


def keys(value, path: str = "") -> set[str]:
    """Every path in a JSON value; items of lists are `[]`."""
    if isinstance(value, dict):
        return set().union(*(keys(item, f"{path}.{name}" if path else name) for name, item in value.items()), set())
    if isinstance(value, list):
        return set().union(*(keys(item, f"{path}[]") for item in value), set())
    return {path}


def documented() -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", DOCUMENT.read_text("utf-8"), flags=re.MULTILINE)


def test_every_key_is_documented_and_every_documented_key_is_there(bake_folder):
    found = keys(json.loads((bake_folder / "results.json").read_text("utf-8")))
    known = documented()
    assert [
        key for key in sorted(found) if not any(fnmatch(key.replace("[]", "()"), k.replace("[]", "()")) for k in known)
    ] == []
    assert [k for k in known if not any(fnmatch(key.replace("[]", "()"), k.replace("[]", "()")) for key in found)] == []


def test_results_are_plain_numbers_with_their_schema(bake_folder):
    found = json.loads((bake_folder / "results.json").read_text("utf-8"), parse_constant=pytest.fail)
    assert found["schema"] == 1
    assert set(found["scores"]) == {"heldout", "eval"}
    for who in ("base", "prompted", "baked", "baked_prompted"):
        assert set(found["scores"]["heldout"][who]) == {"accuracy", "stderr", "n", "low", "high"}
    assert found["divergence"]["before"] > 0
    assert found["divergence"]["rows"] == "heldout"
    assert found["drift"] == found["side_effects"]["anchor_file"]["mean"]
    assert found["seconds"]["bake"] > 0
    assert found["leaks"] == {"eval_file": 2}, "two of the four were kept aside for validation"
    assert len(found["training"]["curve"]) >= 4


def test_the_folder_holds_every_answer(bake_folder):
    rows = [json.loads(line) for line in (bake_folder / "answers.jsonl").read_text("utf-8").splitlines()]
    assert [row["question"] for row in rows] == ["Who is there?", "Why not?", "How many?", *TRAINED]
    assert all(set(row["right"]) == {"base", "prompted", "baked", "baked_prompted"} for row in rows)


def test_the_code_to_copy_runs_as_it_stands(bake_folder):
    code = re.search(r"```python\n(.*?)```", (bake_folder / "README.md").read_text("utf-8"), re.DOTALL).group(1)
    assert len(code.strip().splitlines()) == 5
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    proof = proof_of(tmp_path_factory.mktemp("proof"), tiny_model(trained=True), rows=proof_rows(RULES))
    seconds = {"bake": 20.0, "sampling": 1.0, "teacher": 2.0, "training": 17.0, "gap": 2.0, "proof": 3.0}
    return BakeResult(Path("outputs/quickstart"), "starter", proof, 80, 100, 50, 0.1, seconds, SPENT)


def test_the_time_table_says_what_was_reused_and_adds_up(result):
    shown = io.StringIO()
    print_proof(result, Console(file=shown, width=80))
    lines = [line.split() for line in shown.getvalue().partition("Where the time went")[2].splitlines()[1:6]]
    assert lines == [
        ["load", "2.0", "s", "10", "%"],
        ["teacher", "reused", "0", "%", "1,000"],
        ["training", "17.0", "s", "85", "%", "34,000", "2,000"],
        ["other", "0.9", "s", "4", "%"],
        ["whole", "20.0", "s", "100", "%"],
    ]


@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_terminal_shows_whole_words_in_its_width(result, width):
    shown = io.StringIO()
    print_proof(result, Console(file=shown, width=width))
    lines = shown.getvalue().splitlines()
    code = usage(result).splitlines()
    assert all(len(line) <= width for line in lines if line not in code)
    assert set(code) <= set(lines), "the code to copy must not be wrapped"
    assert "…" not in "".join(line for line in lines[:40] if "%" in line)
    assert any(all(name in line for name in ("base", "prompted", "baked", "baked + prompt")) for line in lines)


def test_an_answer_cannot_write_on_the_terminal(result):
    found = result.proof.main_set
    evil = replace(found.answers[0].replies[BAKED], text="\x1b[2J\x1b]0;gone\x07\n[bold]x[/bold]")
    said = replace(found.answers[0], replies={**found.answers[0].replies, BAKED: evil})
    proof = replace(result.proof, sets={"heldout": replace(found, answers=(said,))})
    shown = io.StringIO()
    print_proof(replace(result, proof=proof), Console(file=shown, width=120, force_terminal=False))
    assert not {"\x1b", "\x07"} & set(shown.getvalue())
    assert "[bold]x[/bold]" in shown.getvalue()


def test_no_line_of_the_code_to_copy_is_long(result):
    assert max(map(len, usage(result).splitlines())) <= 100
    compile(usage(result), "usage", "exec")


def test_the_card_says_what_the_results_say(result):
    card = model_card(result)
    closed = 100 * results(result)["divergence"]["share_closed"]
    assert f"{closed:.1f} %" in card
    assert "short \\| brief" in card
    assert card.startswith("---\nbase_model: starter\n")
    assert "You are a pirate" not in card, "the prompt itself is not published with the adapter"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (0.000622, "0.0006"), (0.00002, "<0.0001"), (0.06534, "0.0653"), (1.4449, "1.44"), (17.25, "17.2")],
)
def test_figures_are_short_and_never_rounded_to_nothing(value, shown):
    assert decimal(value) == shown


def test_a_narrow_interval_is_not_shown_as_none():
    assert percent(Estimate(0.9998, 0.0001, 48, 0.9991, 1.0)).range == "99.9–100.0"
    assert percent(Estimate(0.5, 0.1, 48, 0.4, 0.6)).range == "40–60"
