"""Two processes on the CPU do what one does at the same global batch, and share the work that is done once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _run(folder: Path, *command: str) -> list[dict]:
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(path.read_text()) for path in sorted(folder.glob("found-*.json"))]


@pytest.mark.parametrize(
    ("rows", "batch", "accumulation"),
    [(8, 2, 1), (7, 2, 2)],
    ids=["even", "uneven, accumulated"],
)
def test_two_processes_equal_one(tmp_path, rows, batch, accumulation):
    script = str(ROOT / "tests" / "end_to_end" / "two_processes.py")
    (one,) = _run(tmp_path / "one", script, str(tmp_path / "one"), str(rows), str(2 * batch), str(accumulation))
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    two = _run(tmp_path / "two", *launcher, script, str(tmp_path / "two"), str(rows), str(batch), str(accumulation))
    assert [found["processes"] for found in two] == [2, 2]
    for found in two:
        assert found["loss"] == pytest.approx(one["loss"], rel=1e-5)
        assert found["eval"] == pytest.approx(one["eval"], rel=1e-5)
        assert found["sampled"] == one["sampled"]
        for name, weights in one["weights"].items():
            assert found["weights"][name] == pytest.approx(weights, rel=1e-4, abs=1e-6)
