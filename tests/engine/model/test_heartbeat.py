"""A process that hangs is noticed by the others of its machine; a slow one, and a machine that slept, are not."""

import os
import subprocess
import sys
import time

import pytest

from bakery.engine.model.heartbeat import Listener, listening, meeting_folder
from bakery.engine.model.process_group import SINGLE_PROCESS, ProcessGroup

TWO = """
import sys, time
from pathlib import Path
from bakery.engine.model.heartbeat import listening
from bakery.engine.model.process_group import ProcessGroup
with listening(Path(sys.argv[1]), ProcessGroup(int(sys.argv[2]), 2), silent_seconds=3.0):
    print("beating", flush=True)
    time.sleep(20)
"""


def test_who_is_silent_for_too_long_counts_as_hung():
    clock = [0.0]
    listener = Listener(30.0, lambda: clock[0])
    for second in range(40):
        clock[0] = float(second)
        hung = listener.hung({0: second, 1: min(second, 5)})
        assert hung == ([1] if second > 35 else [])


def test_who_beats_now_and_then_does_not():
    clock = [0.0]
    listener = Listener(30.0, lambda: clock[0])
    for second in range(300):
        clock[0] = float(second)
        assert listener.hung({1: second // 29}) == []


def test_a_listener_that_was_paused_itself_accuses_nobody():
    clock = [0.0]
    listener = Listener(30.0, lambda: clock[0])
    listener.hung({1: 0})
    clock[0] = 500.0
    assert listener.hung({1: 0}) == []
    clock[0] = 501.0
    assert listener.hung({1: 0}) == []


def test_one_process_alone_leaves_nothing(tmp_path):
    with listening(tmp_path / "beats", SINGLE_PROCESS):
        assert list(tmp_path.iterdir()) == []


def test_every_run_meets_in_a_folder_of_its_own():
    assert meeting_folder(SINGLE_PROCESS) != meeting_folder(SINGLE_PROCESS)


def test_the_beats_are_gone_at_the_end_whoever_leaves_last(tmp_path):
    folder = tmp_path / "beats"
    with listening(folder, ProcessGroup(1, 2)):
        with listening(folder, ProcessGroup(0, 2)):
            assert {path.name: path.read_text() for path in folder.iterdir()} == dict.fromkeys("01", str(os.getpid()))
        assert [path.name for path in folder.iterdir()] == ["1"]
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_ended_counts_for_nothing(tmp_path):
    with listening(tmp_path, ProcessGroup(0, 2), silent_seconds=0.3):
        (tmp_path / "1").write_text("999999999")
        time.sleep(1)
        (tmp_path / "1").unlink()
    assert not tmp_path.exists()


@pytest.mark.parametrize("stopped", [0, 1])
def test_all_end_with_the_reason_once(stopped, tmp_path):
    processes = [
        subprocess.Popen([sys.executable, "-c", TWO, str(tmp_path), str(rank)], stdout=-1, stderr=-1, text=True)
        for rank in range(2)
    ]
    assert [process.stdout.readline() for process in processes] == ["beating\n"] * 2
    time.sleep(0.5)
    processes[stopped].send_signal(19)  # SIGSTOP
    told = [process.communicate(timeout=15)[1] for process in processes]
    assert processes[1 - stopped].returncode == 5
    assert processes[stopped].returncode == -9
    assert told[stopped] == ""
    assert f"process {stopped} (process id {processes[stopped].pid}) hangs: nothing" in told[1 - stopped]
