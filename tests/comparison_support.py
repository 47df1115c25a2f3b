"""What the tests of comparisons share: results made up of replies and figures, without a model."""

from collections.abc import Sequence
from pathlib import Path

from bakery.engine.distill.conditions import BAKED, BASE, PROMPTED, Condition
from bakery.evaluation.evaluator import Reply
from bakery.evaluation.measured_adapters import MeasuredAdapters
from bakery.evaluation.paired import PairedFigure
from bakery.evaluation.proof import AnsweredQuestion, Gap
from bakery.report.comparison.result import ComparedAdapter, CompareResult
from bakery.rows.questions import ScoredQuestion
from tests.proof_support import nats, share

CONDITIONS = (BAKED, Condition((("adapter_2", 1.0),)), Condition((("adapter_3", 1.0),)))
FIRST, SECOND, THIRD = CONDITIONS
YES, NO = Reply("yes", (1, 2), True), Reply("no", (3, 2), True)


def names(n: int) -> tuple[str, ...]:
    return tuple(f"asked row {number}" for number in range(1, n + 1))


def right(*rights: Sequence[bool], base: bool = False, prompted: bool = True, about: str = "heldout") -> PairedFigure:
    """Whose answers are right, one list an adapter."""
    n = len(rights[0])
    sums = {BASE: (float(base),) * n, PROMPTED: (float(prompted),) * n}
    sums |= {c: tuple(map(float, own)) for c, own in zip(CONDITIONS, rights, strict=False)}
    return PairedFigure("right", about, names(n), (1.0,) * n, sums)


def closed(*shares: float, n: int = 20) -> PairedFigure:
    """The shares of the gap that adapters close, a little different from prompt to prompt."""
    gaps = tuple(20.0 + number % 7 for number in range(n))
    sums = {
        condition: tuple(gap * (share + 0.01 * ((at * 7) % 5 - 2) * (1 - share)) for at, gap in enumerate(gaps))
        for condition, share in zip(CONDITIONS, shares, strict=False)
    }
    return PairedFigure("share_closed", "heldout", names(n), gaps, sums)


def drifted(*changes: float, n: int = 20) -> PairedFigure:
    """How far adapters have moved under other prompts."""
    sums = {
        condition: tuple(10 * change * (1 + 0.1 * (at % 3)) for at in range(n))
        for condition, change in zip(CONDITIONS, changes, strict=False)
    }
    return PairedFigure("drift", "neutral", tuple(f"neutral row {at}" for at in range(n)), (10.0,) * n, sums)


def questions(*rights: Sequence[bool]) -> tuple[AnsweredQuestion, ...]:
    """Questions whose right answer is "yes", which the prompted model gives; one list of who is right an adapter."""
    answered = []
    for number, source in enumerate(names(len(rights[0]))):
        whose = {BASE: False, PROMPTED: True, **{c: own[number] for c, own in zip(CONDITIONS, rights, strict=False)}}
        replies = {c: YES if is_right else NO for c, is_right in whose.items()}
        question = ScoredQuestion(({"role": "user", "content": f"Question {number}?"},), ("yes",), source)
        answered.append(AnsweredQuestion(question, replies, whose))
    return tuple(answered)


def made_result(
    *rights: Sequence[bool],
    figures: Sequence[PairedFigure] | None = None,
    adapters: Sequence[dict] = (),
    gap: float = 2.0,
    **changes,
) -> CompareResult:
    """A comparison of adapters called A, B and C; `adapters` says more of each, in their order."""
    about = [*adapters, *({} for _ in rights)][: len(rights)]
    known = {"trained_on": frozenset(), "same_prompt": True}
    compared = [
        ComparedAdapter(Path("runs") / label, label, condition, **{**known, **more})
        for label, condition, more in zip("ABC", CONDITIONS, about, strict=False)
    ]
    asked = questions(*rights)
    return CompareResult(
        **{
            "adapters": tuple(compared),
            "base_model": "starter",
            "output_dir": Path("runs/A/compare"),
            "measured_on": "heldout",
            "gap": Gap(nats(gap), gap, share(0.3), share(0.1)),
            "measured": MeasuredAdapters({"heldout": asked}, tuple(figures or [right(*rights)])),
            "left_out": (),
            "seconds": {"gap": 1.23456},
            **changes,
        }
    )
