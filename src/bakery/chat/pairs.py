"""The token ids of both views of a row: with its answer and where the targets are, or up to the generation prompt."""

from collections.abc import Sequence
from dataclasses import dataclass

from bakery.errors import ViewError


@dataclass(frozen=True, slots=True)
class ViewPair:
    """Token ids of both views and the sorted positions of their targets; targets are equal one by one.

    Rows with an equal `prefix_key` share the messages that only the teacher sees before the row.
    """

    teacher_ids: list[int]
    student_ids: list[int]
    teacher_targets: list[int]
    student_targets: list[int]
    source: str = ""
    prefix_key: str = ""


@dataclass(frozen=True, slots=True)
class PromptPair:
    """Token ids of both views up to and including the generation prompt: what an answer is sampled from."""

    teacher_ids: list[int]
    student_ids: list[int]
    source: str = ""
    prefix_key: str = ""

    def with_answer(self, answer_ids: Sequence[int], targets: Sequence[int] | None = None) -> ViewPair:
        """Append sampled ids to both views; all of them are targets, exactly as they were sampled.

        With `targets`, sorted positions in the answer, only these are; the others are context in both views.

        Raises:
            ViewError: there are no ids, or no targets.
        """
        answer = list(answer_ids)
        targets = range(len(answer)) if targets is None else targets
        if not targets:
            raise ViewError(f"{self.source or 'row'}: the sampled answer is empty; there is nothing to learn from it")
        teacher, student = len(self.teacher_ids), len(self.student_ids)
        return ViewPair(
            self.teacher_ids + answer,
            self.student_ids + answer,
            [teacher + at for at in targets],
            [student + at for at in targets],
            self.source,
            self.prefix_key,
        )
