"""One of two processes killed or hung: both end within a minute, with the reason once, and the same command goes on.

It runs where BAKERY_KILLS is set, as by `make test-faults`.
"""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.faults.support import only_with_all_faults
from tests.faults.test_kills import CONFIG
from tests.processes import is_running, wait_for

pytestmark = only_with_all_faults
LAUNCHER = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "bakery")


def start(folder):
    (folder / "bake.json").write_text(json.dumps({**CONFIG, "max_steps": 400, "use_cpu": True, "save_steps": 20}))
    words = ("--config", "bake.json", "--output_dir", "run", "-q")
    (folder / "temporary").mkdir()
    own = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "TMPDIR": str(folder / "temporary")}
    environment = {**os.environ, **own}
    return subprocess.Popen((*LAUNCHER, *words), cwd=folder, env=environment, stderr=-1, text=True)


def children(process):
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
    )
    return [int(line) for line in listed.stdout.split()]


BEGUN = {
    "loading": "temporary/bakery-*/1",
    "sampling": "run/anchors.jsonl",
    "training": "run/checkpoint-20/manifest.json",
}
"""By stage, a file that is there once it has begun."""
CASES = [
    *((stage, which, signal.SIGSTOP) for stage in BEGUN for which in (0, 1)),
    *(("training", which, signal.SIGKILL) for which in (0, 1)),
]


@pytest.mark.parametrize(("stage", "which", "number"), CASES)
def test_all_end_within_a_minute(stage, which, number, tmp_path):
    process = start(tmp_path)
    wait_for(lambda: any(tmp_path.glob(BEGUN[stage])), seconds=600)
    ranks = children(process)
    os.kill(ranks[which], number)
    began = time.monotonic()
    _, told = process.communicate(timeout=120)
    seconds = time.monotonic() - began
    assert process.returncode != 0
    assert seconds < 60, told
    assert told.count("bakery: error:") <= 1, told
    if number == signal.SIGSTOP:
        assert told.count("hangs: nothing was heard of it") == 1
    wait_for(lambda: not any(is_running(rank) for rank in ranks))
    print(f"{seconds:.0f} s")
