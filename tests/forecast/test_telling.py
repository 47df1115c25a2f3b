"""A bake is told once, and corrected by what its parts really took."""

from types import SimpleNamespace

from bakery.forecast.figures import Forecast, Memory, Pace, Part, Range, Rates
from bakery.forecast.telling import Telling
from bakery.progress import Progress, Verbosity
from tests.engine_support import QUESTIONS

PACE = Pace(sampled=1e-3, read=1e-3, trained=1e-3)


class Outlook:
    """Expects 10 seconds of sampling and 100 of the proof, at the speed that it is told."""

    def __init__(self):
        self.asked = []

    def forecast(self, data, *, done, answer, slower, elapsed):
        self.asked.append((done, answer, slower))
        parts = [
            Part(name, Range(1, 1), Range(1, 1), Range(seconds * slower, seconds * slower))
            for name, seconds in (("sampling", 10), ("proof", 100))
            if name not in done
        ]
        return Forecast(tuple(parts), Memory(0, 0, 0, 0, 0, 0), Rates(PACE, PACE), Range(1, 1))


class Lines(Progress):
    """Remembers what is said."""

    def __init__(self):
        super().__init__(Verbosity.QUIET)
        self.lines = []

    def say(self, line):
        self.lines.append(line)


def _told(spent):
    outlook, progress = Outlook(), Lines()
    telling = Telling(outlook, progress, SimpleNamespace(train=[]))
    progress.seconds["sampling"] = spent
    telling.after("sampling")
    return outlook, progress.lines


def test_a_bake_that_goes_as_expected_is_told_once():
    _, lines = _told(spent=11)
    assert len(lines) == 1


def test_a_slower_one_is_corrected_by_how_much_slower_it_was():
    outlook, lines = _told(spent=30)
    assert outlook.asked[-1] == (("sampling",), None, 3.0)
    assert lines[1:] == ["  corrected: 5.0 min to go"]


def test_one_part_does_not_change_the_others_beyond_a_bound():
    outlook, _ = _told(spent=10_000)
    assert outlook.asked[-1][2] == 4.0


def test_answers_are_as_long_as_they_were_sampled():
    outlook, progress = Outlook(), Lines()
    telling = Telling(outlook, progress, SimpleNamespace(train=[]))
    telling.after("sampling", answers=[2, 6])
    assert outlook.asked[-1][1] == 4.0


def test_nobody_is_told_who_does_not_listen_or_resumes():
    for progress, resumed in ((Progress(Verbosity.QUIET), False), (Lines(), True)):
        assert Telling.begin(None, None, QUESTIONS, progress, resumed=resumed) is None
