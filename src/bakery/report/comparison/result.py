"""What a comparison of adapters consists of, as plain data, and which questions none of them was trained on."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bakery.engine.distill.conditions import Condition
from bakery.evaluation.findings import LEAST_ROWS
from bakery.evaluation.measured_adapters import MeasuredAdapters
from bakery.evaluation.paired import FigureName, PairedFigure
from bakery.evaluation.proof import AnsweredQuestion, Gap


@dataclass(frozen=True)
class ComparedAdapter:
    """One adapter, and what of this comparison it was trained on before.

    Args:
        folder: where it lies.
        label: what people read for it.
        condition: under which the model answers with it.
        trained_on: names of the questions asked here that it was trained on; None: not known.
        anchors: how many rows under other prompts it was trained on as anchors.
        same_prompt: whether it was baked with the prompt of this comparison; None: not known.
    """

    folder: Path
    label: str
    condition: Condition
    trained_on: frozenset[str] | None = None
    anchors: int = 0
    same_prompt: bool | None = None


@dataclass(frozen=True)
class CompareResult:
    """Several adapters, measured on the same rows with the same seeds; each is held against the first."""

    adapters: tuple[ComparedAdapter, ...]  # two or more
    base_model: str  # as the settings name it
    output_dir: Path  # where compare.json and compare.html lie
    measured_on: str  # the name of the rows behind the divergence
    gap: Gap  # how much the prompt changes
    measured: MeasuredAdapters
    left_out: tuple[str, ...]  # what was not measured for want of time
    seconds: dict[str, float]  # by stage

    @property
    def first(self) -> ComparedAdapter:
        """The one that the others are held against."""
        return self.adapters[0]

    @property
    def figures(self) -> tuple[PairedFigure, ...]:
        """On all rows."""
        return self.measured.figures

    @cached_property
    def asked(self) -> frozenset[str]:
        """The names of all questions."""
        return frozenset(one.question.source for answered in self.measured.questions.values() for one in answered)

    @cached_property
    def leaked(self) -> frozenset[str]:
        """The names of the questions that any of the adapters is known to have been trained on."""
        return frozenset[str]().union(*(adapter.trained_on or () for adapter in self.adapters))

    @property
    def unseen(self) -> int:
        """How many questions of the measured set are left without those."""
        return sum(one.question.source not in self.leaked for one in self.measured.questions[self.measured_on])

    @cached_property
    def unseen_figures(self) -> tuple[PairedFigure, ...]:
        """The figures on the questions that no adapter is known to have been trained on.

        None where these are all questions anyway, or too few of them are left to tell anything (`LEAST_ROWS`).
        """
        if not self.leaked or self.unseen < LEAST_ROWS:
            return ()
        rest = (figure.without(self.leaked) for figure in self.figures if figure.name != "drift")
        return tuple(figure for figure in rest if figure is not None)

    def figure(self, name: FigureName, about: str | None = None) -> PairedFigure | None:
        """The first figure of a name, about these rows if that is said."""
        matching = (one for one in self.figures if one.name == name and about in (None, one.about))
        return next(matching, None)

    def questions(self) -> list[tuple[str, AnsweredQuestion]]:
        """All questions with their set, those first on which the adapters differ: in being right, then in words."""
        every = [(name, one) for name, answered in self.measured.questions.items() for one in answered]
        return sorted(every, key=lambda entry: self._alike(entry[1]))

    def _alike(self, answered: AnsweredQuestion) -> int:
        conditions = [adapter.condition for adapter in self.adapters]
        if answered.right is not None and len({answered.right[condition] for condition in conditions}) > 1:
            return 0
        return 1 if self.differs(answered) else 2

    def differs(self, answered: AnsweredQuestion) -> bool:
        """Whether the adapters give different answers to a question."""
        return len({answered.replies[adapter.condition].ids for adapter in self.adapters}) > 1
