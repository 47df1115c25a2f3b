"""Telling what a bake will take: once before anything long, and again where it turns out otherwise."""

from collections.abc import Sequence

from bakery.engine.session import Session
from bakery.forecast import words
from bakery.forecast.figures import Forecast, Range
from bakery.forecast.outlook import Outlook
from bakery.progress import Progress, Verbosity
from bakery.rows.bake_data import BakeData
from bakery.settings.build import BakeSettings

_SLOWEST = 4.0
"""By how much a part of a bake may change what is expected of the others."""


class Telling:
    """Tells one bake.

    Args:
        outlook: what was measured.
        progress: where it is told, and what has been spent so far.
        data: the rows that are known.
    """

    def __init__(self, outlook: Outlook, progress: Progress, data: BakeData) -> None:
        self._outlook, self._progress, self.data = outlook, progress, data
        self._done: tuple[str, ...] = ()
        self._answer: float | None = None
        self._slower = 1.0
        self._forecast = self._count()
        progress.say(words.line(self._forecast))

    @classmethod
    def begin(
        cls, settings: BakeSettings, session: Session, data: BakeData, progress: Progress, *, resumed: bool
    ) -> "Telling | None":
        """Measure and tell, unless nobody listens, or a resumed bake has an unknown part of its work behind it.

        Raises:
            BakeryError: a row cannot be aligned.
        """
        if resumed or progress.verbosity == Verbosity.QUIET:
            return None
        with progress.clock("forecast"):
            return cls(Outlook.measured(settings, session, data, now=progress.now), progress, data)

    def after(self, *done: str, data: BakeData | None = None, answers: Sequence[int] = ()) -> None:
        """Some parts of the bake are done: tell what is left where it is noticeably different from what was told.

        Args:
            done: their names, as in the forecast.
            data: all rows, once they are written.
            answers: tokens of all answers that were sampled, once they are.
        """
        new = [part for part in self._forecast.parts if part.name in done]
        expected = sum(part.seconds.middle for part in new)
        spent = sum(self._progress.seconds.get(part.name, 0.0) for part in new)
        if expected > 0 and spent > 0:
            self._slower *= min(_SLOWEST, max(1 / _SLOWEST, spent / expected))
        told = sum((part.seconds for part in self._forecast.parts if part not in new), Range(0, 0))
        self._done, self.data = (*self._done, *done), data or self.data
        if answers and not any(row.answered for row in self.data.train):
            self._answer = sum(answers) / len(answers)
        self._forecast = self._count()
        if line := words.correction(self._forecast.seconds, told):
            self._progress.say(line)

    def _count(self) -> Forecast:
        return self._outlook.forecast(
            self.data,
            done=self._done,
            answer=self._answer,
            slower=self._slower,
            elapsed=self._progress.elapsed(),
        )
