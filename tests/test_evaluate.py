"""An adapter that is there already gets the same proof as its bake, at any strength."""

import json
import shutil
from dataclasses import replace

import pytest

from bakery.cli import main
from bakery.engine.distill.conditions import BAKED
from bakery.engine.session import Session
from bakery.errors import ConfigError, ModelError
from bakery.evaluate import check_strengths, run_eval, run_gap
from bakery.evaluation.proof_rows import proof_rows
from bakery.manifest import MANIFEST
from bakery.progress import Progress, Verbosity
from bakery.report.strengths import cost, eval_figures, print_eval
from bakery.rows.bake_data import load_bake_data
from bakery.settings.build import BakeSettings
from bakery.settings.config import ContextConfig, DataConfig, LoraConfig, ModelConfig
from tests.engine_support import SYSTEM, settings, tiny_base, tokenizer

QUIET = Progress(Verbosity.QUIET)
EVALUATION_FILES = ("results.json", "answers.jsonl", "report.html")
TIMED = ("seconds", "prompted_seconds", "baked_seconds", "merged_seconds")


@pytest.fixture(scope="module")
def bake(tmp_path_factory):
    """Settings of a bake and the folder it left."""
    folder = tmp_path_factory.mktemp("bake")
    tiny_base().save_pretrained(folder / "base")
    tokenizer().save_pretrained(folder / "base")
    (folder / "heldout.jsonl").write_text(json.dumps({"question": "Who is there?", "answer": "Ahoy!"}) + "\n")
    prompts = ["Hello!", "Who are you?", "Tell me a story.", "What is it?"]
    short = {
        "max_steps": 30,
        "learning_rate": 1e-2,
        "trajectory_length": 8,
        "sampling_temperature": 1.0,
        "proof": "full",
    }
    chosen = BakeSettings(
        bakery=settings(folder / "out", **short),
        context=ContextConfig(prefix_messages=[{"role": "system", "content": SYSTEM}]),
        model=ModelConfig(model_name_or_path=str(folder / "base")),
        lora=LoraConfig(r=8, lora_alpha=16),
        data=DataConfig(
            training_prompts=prompts, heldout_file=str(folder / "heldout.jsonl"), self_prompts=0, self_anchors=0
        ),
    )
    from bakery.baking import bake as run

    run(chosen, QUIET)
    return chosen, folder / "out"


def untimed(value):
    if isinstance(value, dict):
        return {name: untimed(item) for name, item in value.items() if name not in TIMED}
    return [untimed(item) for item in value] if isinstance(value, list) else value


def close(one, other) -> bool:
    if isinstance(one, dict):
        return set(one) == set(other) and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(close, one, other))
    return one == pytest.approx(other, rel=1e-3, abs=1e-5) if isinstance(one, float) else one == other


def test_the_proof_of_a_finished_bake_is_that_of_the_bake(bake, tmp_path):
    chosen, folder = bake
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    evaluated = untimed(eval_figures(run_eval(chosen, folder, output_dir=tmp_path, progress=QUIET)))
    baked = untimed(json.loads((folder / "results.json").read_text()))
    shared = [key for key in baked if key in evaluated and key not in ("findings", "verdict")]
    assert {"gap", "scores", "divergence", "side_effects", "generalisation", "drift"} <= set(shared)
    different = [key for key in shared if not close(evaluated[key], baked[key])]
    assert different == []
    of_training = ("Undertrained", "The questions never", "Under other prompts")  # what to do depends on the training
    told = [[one for one in each["findings"] if not one["text"].startswith(of_training)] for each in (baked, evaluated)]
    assert told[0] == told[1]
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_a_sweep_goes_from_the_base_to_the_bake_and_finds_the_best(bake, tmp_path, capsys):
    chosen, folder = bake
    result = run_eval(chosen, folder, (1.0, 0.0, 0.5), output_dir=tmp_path, progress=QUIET)
    assert [strength for strength, _ in result.proofs] == [0.0, 0.5, 1.0]
    (_, none), (_, half), (_, whole) = result.proofs
    assert none.divergence.after.mean == pytest.approx(none.divergence.before.mean, abs=1e-6)
    assert none.drift.mean == pytest.approx(0, abs=1e-6)
    assert whole.divergence.after.mean < half.divergence.after.mean < none.divergence.after.mean
    assert 0 < half.drift.mean < whole.drift.mean
    assert cost(dict(result.proofs)[result.best]) == min(cost(proof) for _, proof in result.proofs)
    saved = json.loads((tmp_path / "results.json").read_text())
    assert [point["strength"] for point in saved["sweep"]] == [0.0, 0.5, 1.0]
    assert saved["best_strength"] == result.best
    accuracy = whole.sets["heldout"].conditions[BAKED].accuracy
    assert saved["sweep"][2]["accuracy"] == accuracy.mean
    assert "Distances by strength of the adapter" in (tmp_path / "report.html").read_text()
    from rich.console import Console

    print_eval(result, Console(width=80))
    assert "best" in capsys.readouterr().out


def test_the_gap_alone_is_the_gap_of_the_bake_and_writes_nothing(bake, tmp_path):
    chosen, folder = bake
    gap = run_gap(chosen, progress=QUIET)
    baked = json.loads((folder / "results.json").read_text())["gap"]
    assert gap.divergence.mean == pytest.approx(baked["divergence"]["mean"], rel=1e-4)


def test_the_shortcuts_are_tried_on_the_measured_rows(bake, monkeypatch):
    """All rows that are measured, and no others: of many questions they are a part, spread over all."""
    chosen, _ = bake
    data = load_bake_data(chosen.context, chosen.data)
    many = [replace(data.heldout[0], messages=({"role": "user", "content": f"{n}?"},)) for n in range(300)]
    tried = []

    def engine(session, rows):
        tried.extend(session.tokenizer.decode(row.student_ids) for row in rows)
        raise RuntimeError("enough")

    monkeypatch.setattr(Session, "engine", engine)
    with pytest.raises(RuntimeError, match="enough"):
        run_gap(chosen, progress=QUIET, data=replace(data, heldout=many))
    measured = [row.messages[0]["content"] for row in proof_rows(replace(data, heldout=many)).measured]
    assert len(measured) == len(tried) == 256
    assert all(text in prompt for text, prompt in zip(measured, tried, strict=True))


def test_eval_and_gap_create_no_repository_and_write_only_what_they_promise(bake, tmp_path, hub):
    """Settings that push, and folders that nobody may write into: an evaluation leaves both alone."""
    chosen, folder = bake
    pushing = replace(chosen.bakery, output_dir=str(tmp_path / "out"), push_to_hub=True, hub_token="secret")
    chosen = replace(chosen, bakery=pushing)
    adapter = shutil.copytree(folder, tmp_path / "adapter")
    for path in (adapter, *adapter.iterdir()):
        path.chmod(path.stat().st_mode & 0o555)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    result = run_eval(chosen, adapter, output_dir=tmp_path / "results", progress=QUIET)
    run_gap(chosen, progress=QUIET)
    written = {path for path in tmp_path.rglob("*") if path not in before}
    assert written == {result.output_dir, *(result.output_dir / name for name in EVALUATION_FILES)}
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (hub.files, hub.commits) == ({}, [])


@pytest.mark.parametrize("strengths", [[], [-0.1], [1.6], [0.5, 2]])
def test_a_strength_out_of_range_is_refused(strengths):
    with pytest.raises(ConfigError, match="--strength"):
        check_strengths(strengths)


def test_what_is_no_adapter_is_refused(bake, tmp_path):
    chosen, folder = bake
    with pytest.raises(ModelError, match="no adapter_config"):
        run_eval(chosen, tmp_path, progress=QUIET)
    other = shutil.copytree(folder, tmp_path / "other")
    (other / MANIFEST).unlink()
    described = json.loads((other / "adapter_config.json").read_text())
    (other / "adapter_config.json").write_text(json.dumps({**described, "r": 4}))
    with pytest.raises(ModelError, match="does not fit this base model"):
        run_eval(chosen, other, progress=QUIET)


def test_stopping_early_is_said_and_validation_prompts_are_taken(bake, tmp_path):
    chosen, _ = bake
    path = tmp_path / "bake.json"
    plain = {
        "model_name_or_path": chosen.model.model_name_or_path,
        "prefix_messages": chosen.context.prefix_messages,
        "training_prompts": [f"Tell me about number {n}." for n in range(20)],
        "self_prompts": 0,
        "self_anchors": 0,
        "output_dir": str(tmp_path / "out"),
        "target_divergence": 1000.0,
        "max_steps": 20,
        "trajectory_length": 8,
        "num_trajectories": 1,
        "use_cpu": True,
    }
    path.write_text(json.dumps(plain))
    assert main(["--config", str(path), "-q"]) == 0
    evaluated = json.loads((tmp_path / "out" / "results.json").read_text())
    assert evaluated["training"]["steps"] < 20
    assert "has reached target_divergence 1000" in evaluated["training"]["stopped_early"]
    assert evaluated["measured_on"] == "validation"
    assert evaluated["training"]["rows"] == 18
    assert any("eval_loss" in line for line in evaluated["training"]["curve"])
