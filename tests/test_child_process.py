"""A child and whatever it started end with the process that started it, however that ends."""

import os
import signal
import subprocess
import sys

import pytest

from bakery.child_process import child_process, is_group_alive
from tests.processes import is_running, wait_for

FAMILY = """\
import os, signal, subprocess, sys, time
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
print(os.getpid(), child.pid, os.getpgid(0), file=open(sys.argv[1], "w", buffering=1))
time.sleep(300)
"""
PARENT = """\
import sys, time
from bakery.child_process import child_process
with child_process([sys.executable, *sys.argv[1:]]):
    time.sleep(300)
"""


def python(source, *words):
    return [sys.executable, "-c", source, *map(str, words)]


def family(file):
    """The process ids of the child and of its own child, and the group of both."""
    wait_for(lambda: file.is_file() and file.read_text().endswith("\n"))
    return [int(word) for word in file.read_text().split()]


def watchdogs():
    """The processes that are children of nobody and run this very script."""
    listed = subprocess.run(["ps", "-eo", "pid=,args="], capture_output=True, text=True, check=True).stdout
    return {line.split()[0] for line in listed.splitlines() if "child_process.py" in line}


@pytest.mark.parametrize("more", [(), ("stubborn",)])
def test_after_sigkill_nothing_is_left(more, tmp_path):
    before = watchdogs()
    parent = subprocess.Popen(python(PARENT, "-c", FAMILY, tmp_path / "ids", *more))
    child, grandchild, _ = family(tmp_path / "ids")
    parent.send_signal(signal.SIGKILL)
    parent.wait(10)
    wait_for(lambda: not is_running(child) and not is_running(grandchild))
    wait_for(lambda: watchdogs() <= before)


def test_the_process_id_is_that_of_the_program_and_the_block_ends_its_group(tmp_path):
    before = watchdogs()
    with child_process(python(FAMILY, tmp_path / "ids")) as process:
        child, grandchild, group = family(tmp_path / "ids")
        assert child == group == process.pid
    assert process.returncode == -signal.SIGKILL
    wait_for(lambda: not is_running(grandchild))
    wait_for(lambda: watchdogs() <= before)


def test_an_error_in_the_block_ends_it_too(tmp_path):
    ids = []

    def fail():
        with child_process(python(FAMILY, tmp_path / "ids")):
            ids.extend(family(tmp_path / "ids"))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    _, grandchild, group = ids
    wait_for(lambda: not is_running(grandchild))
    wait_for(lambda: not is_group_alive(group))


def test_the_program_sees_nothing_of_the_watchdog(tmp_path):
    """No child that it did not start, no open file but its streams, the signals as they are by default."""
    source = (
        "import os, signal\n"
        "try:\n    os.waitpid(-1, 0)\nexcept ChildProcessError:\n    print('no child')\n"
        "print(sorted(map(int, os.listdir('/proc/self/fd')))[:4], os.read(0, 1))"
    )
    with child_process(python(source), stdout=subprocess.PIPE, text=True) as process:
        output, _ = process.communicate()
    assert output == "no child\n[0, 1, 2, 3] b''\n"  # 3 is the listing itself
    ignored = "grep SigIgn /proc/self/status"
    with child_process(["sh", "-c", ignored], stdout=subprocess.PIPE, text=True) as process:
        assert int(process.communicate()[0].split()[1], 16) & (1 << (signal.SIGPIPE - 1)) == 0


@pytest.mark.parametrize(("source", "code"), [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 15)", -15)])
def test_its_exit_code_is_its_own(source, code):
    with child_process(python(source)) as process:
        assert process.wait(20) == code


def test_what_is_no_program_is_told(tmp_path):
    with pytest.raises(FileNotFoundError), child_process([str(tmp_path / "missing")]):
        pass
    (tmp_path / "words").write_text("no program")
    os.chmod(tmp_path / "words", 0o755)
    with child_process([str(tmp_path / "words")], stderr=subprocess.PIPE, text=True) as process:
        assert "words: cannot be run: Exec format error" in process.communicate()[1]
    assert process.returncode == 1
