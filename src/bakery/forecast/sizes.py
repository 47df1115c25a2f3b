"""How long rows are in tokens, estimated from a few of them, spread evenly over all."""

from collections import Counter
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from statistics import mean

from bakery.chat.views import ViewBuilder
from bakery.rows.conversations import Conversation, evenly

_LOOKED_AT = 8


@dataclass(frozen=True)
class Sizes:
    """Rows in number and in mean length.

    Args:
        rows: how many there are, those of them `answered`.
        teacher: tokens of the teacher's view, without what it shares with other rows.
        student: tokens of the student's view.
        targets: tokens of the answer where there is one; both views hold it.
        shared: tokens of all the prefixes together that rows share, each of which is read once.
    """

    rows: int = 0
    answered: int = 0
    teacher: float = 0
    student: float = 0
    targets: float = 0
    shared: float = 0

    @property
    def unanswered(self) -> int:
        """Rows whose answers are to be sampled."""
        return self.rows - self.answered


def sizes_of(builder: ViewBuilder, rows: Sequence[Conversation], *, anchor: bool = False, shares: bool = True) -> Sizes:
    """The sizes of these rows; `shares`: rows of one prefix are read behind one copy of it.

    Raises:
        BakeryError: a row cannot be aligned.
    """
    if not rows:
        return Sizes()
    quiet = copy(builder)
    quiet.notes = Counter()  # these rows are counted when they are built for the bake
    teacher: list[int] = []
    student: list[int] = []
    targets: list[int] = []
    for row in evenly(rows, _LOOKED_AT):
        views = quiet.views(row, anchor=anchor) if row.answered else [quiet.prompts(row, anchor=anchor)]
        teacher += [len(view.teacher_ids) for view in views]
        student += [len(view.student_ids) for view in views]
        targets += [len(getattr(view, "teacher_targets", ())) for view in views]
    prefix = mean(teacher) - mean(student)
    own = [repr((row.prefix, row.tools)) for row in rows if row.prefix or not anchor]
    different = len(rows) if not builder.rules.prefix and not any(row.prefix for row in rows) else len(set(own))
    sharing = shares and prefix > 0 and different < len(rows)
    answered = [row for row in rows if row.answered]
    return Sizes(
        rows=len(rows),
        answered=len(answered),
        teacher=mean(student) if sharing else mean(teacher),
        student=mean(student),
        targets=mean(own for own in targets if own) if any(targets) else 0,
        shared=different * prefix if sharing else 0,
    )
