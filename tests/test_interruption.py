"""A signal ends a run at once, or after the step while it is deferred; a second one ends the process."""

import os
import signal
import subprocess
import sys

import pytest

from bakery.interruption import Interrupted, Interruption, stop_on_signals

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
TWICE = """
import os, signal
from bakery.interruption import stop_on_signals
with stop_on_signals() as interruption, interruption.deferred():
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGTERM)
print("still here")
"""


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_outside_training_a_signal_interrupts_at_once(number, code):
    with pytest.raises(Interrupted) as stopped, stop_on_signals():
        os.kill(os.getpid(), number)
    assert (stopped.value.exit_code, stopped.value.saved) == (code, "")


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_deferred_one_is_noted_and_raised_at_the_end(number, code, capfd):
    noted = []

    def run() -> None:
        with stop_on_signals() as interruption, interruption.deferred():
            os.kill(os.getpid(), number)
            noted.append(interruption.asked)

    with pytest.raises(Interrupted) as stopped:
        run()
    assert noted == [number]
    assert stopped.value.exit_code == code
    assert "stopping after this step, with a checkpoint; once more stops at once" in capfd.readouterr().err


def test_a_second_signal_ends_the_process():
    done = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (143, "")
    assert done.stderr.endswith("bakery: stopped at once\n")


def test_handlers_are_put_back_and_ignored_signals_stay_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals() as interruption:
            os.kill(os.getpid(), signal.SIGHUP)
            assert interruption.asked == 0
            assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_error_within_is_the_error_that_is_told():
    with pytest.raises(ZeroDivisionError), Interruption().deferred():
        raise ZeroDivisionError
