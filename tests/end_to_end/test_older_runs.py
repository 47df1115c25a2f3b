"""A run of the version before, 9e73ebd, which wrote no manifest: it is evaluated, and refused with a word where not.

`older_run` is what that version leaves on the starter of today, but for files of which the finished one has the same.
"""

import json
import shutil
from pathlib import Path

import pytest

from bakery.cli import main

OLDER = Path(__file__).parent / "older_run"


@pytest.fixture
def run(tmp_path):
    folder = shutil.copytree(OLDER, tmp_path / "run")
    shutil.copy(folder / "tokenizer.json", folder / "checkpoint-4")
    return folder


def test_it_is_proved_as_it_was(run, tmp_path, capfd):
    out = tmp_path / "eval"
    assert main(["eval", "--adapter", str(run), "--output_dir", str(out), "-q"]) == 0, capfd.readouterr().err
    before, now = (json.loads((folder / "results.json").read_text()) for folder in (run, out))
    assert now["divergence"]["after"]["mean"] == pytest.approx(before["divergence"]["after"]["mean"], rel=1e-3)


def test_on_a_base_of_other_tokens_it_is_refused_with_a_word(run, tmp_path, capfd):
    """As the starter of that version had them."""
    tokenizer = json.loads((run / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    first, last = min(vocabulary, key=vocabulary.get), max(vocabulary, key=vocabulary.get)
    vocabulary[first], vocabulary[last] = vocabulary[last], vocabulary[first]
    (run / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert main(["eval", "--adapter", str(run), "--output_dir", str(tmp_path / "eval"), "-q"]) == 4
    assert "was baked on a model with other tokens than" in capfd.readouterr().err


def test_its_checkpoint_is_refused_with_a_word(run, capfd):
    words = ["--config", str(run / "bakery.yaml"), "--resume_from_checkpoint", str(run / "checkpoint-4"), "-q"]
    assert main([*words, "--overwrite"]) == 2
    assert "checkpoint-4 is not whole: its manifest.json is missing" in capfd.readouterr().err


@pytest.mark.parametrize("finished", [True, False])
def test_nothing_of_it_is_replaced_unasked(finished, run, capfd):
    if not finished:
        for name in ("results.json", "adapter_model.safetensors"):
            (run / name).unlink()
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert main(["--config", str(run / "bakery.yaml"), "-q"]) == 2
    said = "holds a finished bake" if finished else "holds checkpoints of another run (checkpoint-4)"
    assert said in capfd.readouterr().err
    after = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != ".lock"}
    assert after == before
