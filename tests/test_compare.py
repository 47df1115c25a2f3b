"""Adapters compared by the real command: each as its own evaluation measures it, and nothing trained on passed over."""

import json
import shutil
from pathlib import Path

import pytest

from bakery.cli import main
from bakery.compare import run_compare
from bakery.errors import ConfigError
from bakery.evaluation.trained_on import trained_on
from bakery.progress import Progress, Verbosity
from bakery.rows.conversations import conversations
from bakery.settings.build import build, check_settings
from bakery.settings.reading import read_settings_file
from tests.engine_support import SYSTEM

HELD_OUT = [f"What is {number} and {number}?" for number in range(20)]
PROMPTS = ["Hello!", "Who are you?", "Tell me a story.", "What is it?"]
SHORT = {
    "self_prompts": 0,
    "self_anchors": 0,
    "max_steps": 20,
    "logging_steps": 1,
    "learning_rate": 1e-2,
    "trajectory_length": 8,
    "num_trajectories": 1,
    "validation_share": 0,
    "proof": "quick",
    "use_cpu": True,
}
OTHER_SYSTEM = "You are a monk. Say little."


@pytest.fixture(scope="module")
def runs(tmp_path_factory, saved_base):
    """A folder with two bakes of one base: `b` has another prompt, another rank, and was trained on three of `a`'s."""
    folder = tmp_path_factory.mktemp("runs")
    lines = [json.dumps({"question": text, "answer": "Ahoy!", "check": "contains"}) for text in HELD_OUT]
    (folder / "heldout.jsonl").write_text("\n".join(lines))
    rule = {"name": "short", "max_words": 4}
    own = {
        "a": {
            "prefix": SYSTEM,
            "training_prompts": PROMPTS,
            "heldout_file": str(folder / "heldout.jsonl"),
            "rules": [rule],
        },
        "b": {"prefix": OTHER_SYSTEM, "training_prompts": [*PROMPTS, *HELD_OUT[:3]], "r": 4, "max_steps": 10},
    }
    for name, settings in own.items():
        prefix = [{"role": "system", "content": settings.pop("prefix")}]
        config = {**SHORT, "model_name_or_path": saved_base, "prefix_messages": prefix, **settings}
        (folder / f"{name}.json").write_text(json.dumps({**config, "output_dir": str(folder / name)}))
        assert main(["--config", str(folder / f"{name}.json"), "-q"]) == 0
    return folder


@pytest.fixture(scope="module")
def compared(runs):
    """What `bakery compare` says and writes of the two."""
    assert main(["compare", str(runs / "a"), str(runs / "b"), "--proof", "full", "-q"]) == 0
    return json.loads((runs / "a" / "compare" / "compare.json").read_text())


def plain(runs: Path, name: str, source: str = "b") -> Path:
    """An adapter without anything that a bake leaves beside it."""
    folder = runs / name
    folder.mkdir(exist_ok=True)
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(runs / source / file, folder)
    return folder


def by_name(figures: list) -> dict:
    return {(one["figure"], one["about"]): one for one in figures}


def close(one: dict, other: dict) -> bool:
    return all(one[key] == pytest.approx(other[key], rel=1e-3, abs=1e-5) for key in ("mean", "low", "high", "n"))


@pytest.mark.parametrize("number", [0, 1])
def test_each_adapter_has_the_figures_of_its_own_evaluation(runs, compared, tmp_path, number):
    adapter, config = runs / "ab"[number], runs / "a" / "bakery.yaml"
    words = ["--config", str(config), "--proof", "full", "--output_dir", str(tmp_path), "-q"]
    assert main(["eval", "--adapter", str(adapter), *words]) == 0
    alone = json.loads((tmp_path / "results.json").read_text())
    figures = by_name(compared["figures"])
    scores = alone["scores"]["heldout"]
    assert close(figures["divergence", "heldout"]["adapters"][number], alone["divergence"]["after"])
    assert close(figures["share_closed", "heldout"]["adapters"][number], alone["divergence"]["share_closed"])
    assert close(figures["right", "heldout"]["adapters"][number], scores["baked"]["accuracy"])
    assert close(figures["right", "heldout"]["prompted"], scores["prompted"]["accuracy"])
    assert close(figures["same", "heldout"]["adapters"][number], scores["baked"]["agreement"])
    assert close(figures["rule", "short"]["adapters"][number], alone["rules"][0]["conditions"]["baked"])
    assert close(figures["drift", "neutral"]["adapters"][number], alone["side_effects"]["neutral"])
    answers = [json.loads(line)["baked"] for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    replies = {one["question"]: one["adapters"][number] for one in compared["questions"]}
    assert [replies[text] for text in HELD_OUT] == answers


def test_the_other_way_round_the_differences_are_the_reverse(runs, compared, tmp_path):
    words = ["--config", str(runs / "a" / "bakery.yaml"), "--proof", "full", "--output_dir", str(tmp_path), "-q"]
    assert main(["compare", str(runs / "b"), str(runs / "a"), *words]) == 0
    back = by_name(json.loads((tmp_path / "compare.json").read_text())["figures"])
    for key, figure in by_name(compared["figures"]).items():
        (there,), (here,) = figure["from_first"], back[key]["from_first"]
        assert here["mean"] == pytest.approx(-there["mean"], rel=1e-4, abs=1e-9)
        assert (here["low"], here["high"]) == pytest.approx((-there["high"], -there["low"]), rel=1e-4, abs=1e-9)


def test_what_one_was_trained_on_and_another_prompt_are_told(compared):
    assert [(one["label"], one["trained_on"], one["same_prompt"]) for one in compared["adapters"]] == [
        ("a", 0, True),
        ("b", 3, False),
    ]
    told = " ".join(compared["warnings"])
    assert "b was trained on 3 of the 20 questions" in told
    assert "b was baked with another prompt" in told
    assert "17 questions that none is known to have been trained on" in told
    assert compared["unseen"]["questions"] == 17
    unseen, every = by_name(compared["unseen"]["figures"]), by_name(compared["figures"])
    assert {figure["n"] for figure in unseen.values()} == {17}
    assert {name for name, _ in every} - {name for name, _ in unseen} == {"drift"}
    assert sum(one["trained_on"] == [False, True] for one in compared["questions"]) == 3


def test_the_folder_of_a_bake_tells_what_was_trained_on(runs):
    """The truth: the answers that were sampled for training."""
    for name, expected in (("a", set(PROMPTS)), ("b", {*PROMPTS, *HELD_OUT[:3]})):
        lines = (runs / name / "trajectories.jsonl").read_text().splitlines()
        learned = {json.loads(line)["messages"][0]["content"] for line in lines}
        every = [*PROMPTS, *HELD_OUT]
        told = trained_on(runs / name).asked(conversations(every, "asked"))
        assert learned == expected == {text for at, text in enumerate(every, 1) if f"asked row {at}" in told}


def test_a_plain_adapter_is_compared_and_what_is_not_known_is_said(runs, tmp_path, capsys):
    copy = plain(runs, "plain")
    words = ["--output_dir", str(tmp_path), "--proof", "full", "-q"]
    assert main(["compare", str(runs / "a"), str(runs / "b"), str(copy), *words]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "What plain was trained on is not known" in shown
    figures = json.loads((tmp_path / "compare.json").read_text())
    assert figures["adapters"][2]["trained_on"] is figures["adapters"][2]["same_prompt"] is None
    for figure in figures["figures"]:
        assert figure["adapters"][1] == figure["adapters"][2], "the same weights"


def test_copies_of_one_adapter_are_not_told_apart(runs, tmp_path):
    copy = plain(runs, "copy", "a")
    assert main(["compare", str(runs / "a"), str(copy), "--output_dir", str(tmp_path), "--proof", "full", "-q"]) == 0
    figures = json.loads((tmp_path / "compare.json").read_text())
    for figure in figures["figures"]:
        (difference,) = figure["from_first"]
        assert (difference["mean"], difference["judgement"]) == (0, "unclear")
        assert difference["low"] is None or difference["low"] < 0 < difference["high"]
    assert "The adapters answer 0 of 20 questions differently." in (tmp_path / "compare.html").read_text()


def test_the_library_compares_without_a_command_line_and_writes_only_the_comparison(runs, tmp_path):
    settings = build(check_settings(read_settings_file(runs / "a" / "bakery.yaml")))
    before = {path: path.stat().st_mtime_ns for path in runs.rglob("*")}
    quiet = Progress(Verbosity.QUIET)
    result = run_compare(settings, [runs / "a", str(runs / "b")], output_dir=tmp_path / "out", progress=quiet)
    assert {path: path.stat().st_mtime_ns for path in runs.rglob("*")} == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["compare.html", "compare.json"]
    assert len(result.measured.questions["heldout"]) == 16, "proof: quick asks as many as a verdict needs"
    assert result.unseen_figures == ()
    with pytest.raises(ConfigError, match="two adapters or more, got 1"):
        run_compare(settings, [runs / "a"], progress=quiet)
    with pytest.raises(ConfigError, match="belongs to the base"):
        run_compare(settings, [runs / "a", foreign(tmp_path)], progress=quiet)


def foreign(folder: Path) -> str:
    (folder / "foreign").mkdir()
    (folder / "foreign" / "adapter_config.json").write_text('{"base_model_name_or_path": "owner/other"}')
    return str(folder / "foreign")


@pytest.mark.parametrize(
    ("folders", "code", "says"),
    [
        ([], 2, "compare: needs the folders of two adapters or more as its first words, got 0"),
        (["a"], 2, "compare: needs the folders of two adapters or more as its first words, got 1"),
        (["a", "b/../a"], 2, "b/../a is given twice"),
        (["a", "nope"], 2, "no such folder: nope"),
        (["a", "empty"], 2, "empty holds no adapter: it has no adapter_config.json"),
        (["a", "foreign"], 2, "compare: foreign: its adapter belongs to the base owner/other, not to"),
        (["bare", "a"], 2, "no settings: bare has no bakery.yaml; give --config FILE"),
        (["a", "broken"], 4, "broken does not fit this base model"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused_in_one_line(runs, folders, code, says, monkeypatch, capsys):
    monkeypatch.chdir(runs)
    (runs / "empty").mkdir(exist_ok=True)
    if not (runs / "foreign").exists():
        foreign(runs)
    plain(runs, "bare")
    broken = plain(runs, "broken") / "adapter_config.json"
    broken.write_text(json.dumps({**json.loads(broken.read_text()), "r": 2}))
    assert main(["compare", *folders, "-q"]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("bakery: error: ")
    assert says in line
