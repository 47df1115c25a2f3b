"""Many bakes in one process, every other one stopped and gone on with: memory and open files level off.

It runs where BAKERY_KILLS is set, BAKERY_SOAK times, as by `make test-faults`.
"""

import ctypes
import gc
import json
import os
import shutil
import threading
from statistics import median

import pytest

from bakery.cli import main
from bakery.text import size
from bakery.training.callbacks import StopWhenAsked
from tests.faults.support import only_with_all_faults
from tests.faults.test_kills import CONFIG

BAKES = int(os.environ.get("BAKERY_SOAK", "4"))
MOST_BYTES_EACH = 200_000
"""By which a bake may leave the process larger, from the second quarter of them to the last, by their medians."""


def resident_bytes() -> int:
    """Of this process, without the freed blocks that the C library keeps for later."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@only_with_all_faults
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="only Linux tells the memory of a process so")
def test_memory_and_open_files_level_off(tmp_path, monkeypatch, capfd):
    (tmp_path / "bake.json").write_text(json.dumps({**CONFIG, "max_steps": 4, "save_steps": 2, "proof": "none"}))
    words = ["--config", str(tmp_path / "bake.json"), "-q", "--output_dir", str(tmp_path / "run")]
    memory, files, threads = [], [], []
    on_step_end = StopWhenAsked.on_step_end

    def stops_at_the_third_step(callback, args, state, control, **others):
        if state.global_step == 3:
            callback._interruption.ask(2)
        on_step_end(callback, args, state, control, **others)

    for number in range(BAKES):
        if number % 2:
            with monkeypatch.context() as patch:
                patch.setattr(StopWhenAsked, "on_step_end", stops_at_the_third_step)
                assert main(words) == 130
        assert main(words) == 0, capfd.readouterr().err
        shutil.rmtree(tmp_path / "run")
        capfd.readouterr()
        gc.collect()
        memory.append(resident_bytes())
        files.append(open_files())
        threads.append(threading.active_count())
    quarter = BAKES // 4
    early, late = median(memory[quarter : 2 * quarter]), median(memory[-quarter:])
    grown = (late - early) / (BAKES / 2)
    print(f"{BAKES} bakes: {size(early)}, then {size(late)}; open files {files[0]}, {files[-1]}")
    assert files[-1] <= files[1]
    assert threads[-1] <= threads[1]
    if BAKES >= 50:  # fewer are still warming up
        assert grown < MOST_BYTES_EACH, f"{size(grown)} a bake: {[size(one) for one in memory[:: max(1, BAKES // 20)]]}"
