"""A comparison in words and rounded figures, the same for terminal, page and compare.json."""

from collections.abc import Sequence

from bakery.engine.distill.conditions import BASE, PROMPTED, Condition
from bakery.evaluation.estimates import Estimate
from bakery.evaluation.findings import LEAST_ROWS
from bakery.evaluation.paired import LESS_IS_BETTER, Difference, FigureName, PairedFigure
from bakery.evaluation.proof import TITLES
from bakery.report.comparison.result import ComparedAdapter, CompareResult
from bakery.report.summary import Cell, decimal, nats, percent

PROMPTED_MODEL = "the prompted model"
FOOTNOTE = (
    "{small} are 95 % intervals over prompts, those of differences paired prompt by prompt. Points are percentage "
    "points; distances and drift are KL divergences in nats per token. Every interval stands for itself: of twenty "
    "differences between equals, one looks real."
)
JUDGED: tuple[FigureName, ...] = ("right", "rule")
"""Figures by which an adapter may be better or worse than the prompted model itself."""

_VERBS = {
    "share_closed": ("closes {size} more of the gap than", "closes {size} less of the gap than"),
    "divergence": ("is {size} further from the prompted model than", "is {size} nearer to the prompted model than"),
    "right": ("answers {size} more of the {about} right than", "answers {size} fewer of the {about} right than"),
    "same": (
        "gives the prompted model's own answer to {size} more of the questions than",
        "gives the prompted model's own answer to {size} fewer of the questions than",
    ),
    "rule": (
        "follows the rule “{about}” in {size} more of the answers than",
        "follows the rule “{about}” in {size} fewer of the answers than",
    ),
    "drift": (
        "has changed {size} more under other prompts ({about}) than",
        "has changed {size} less under other prompts ({about}) than",
    ),
}
"""What one adapter does more, and less, than another."""
_SUBJECTS = {
    "share_closed": "the share of the gap closed",
    "divergence": "the distance from the prompted model",
    "right": "right answers",
    "same": "answers equal to the prompted ones",
    "rule": "following the rule “{about}”",
    "drift": "drift ({about})",
}
"""What a difference is a difference in."""
_FIXED = {
    ("share_closed", BASE): "0 %",
    ("share_closed", PROMPTED): "100 %",
    ("divergence", PROMPTED): "0",
    ("same", PROMPTED): "100 %",
    ("drift", BASE): "0",
}
"""Figures that are what they are by definition."""


def label(figure: PairedFigure) -> str:
    """What people read for a figure."""
    n = len(figure.prompts)
    return {
        "share_closed": "share of the gap closed",
        "divergence": "distance from prompted",
        "right": f"correct answers, {n} {_about(figure)}",
        "same": "same answer as prompted",
        "rule": f"rule: {figure.about}",
        "drift": f"drift, {_about(figure)} ({n})",
    }[figure.name]


def cell(figure: PairedFigure, condition: Condition) -> Cell:
    """A figure under a condition; empty where there is none."""
    estimate = figure.of(condition)
    if (figure.name, condition) in _FIXED or estimate is None:
        return Cell(_FIXED.get((figure.name, condition), ""))
    return nats(estimate) if figure.name in LESS_IS_BETTER else percent(estimate)


def difference_cell(figure: PairedFigure, difference: Difference) -> Cell:
    """A difference with its sign, in points or nats per token, and its interval."""
    value = f"{_signed(figure, difference.mean)} {'nats' if figure.name in LESS_IS_BETTER else 'points'}"
    if difference.low is None or difference.high is None:
        return Cell(value)
    return Cell(value, f"{_signed(figure, difference.low)} to {_signed(figure, difference.high)}")


def judgement(figure: PairedFigure, difference: Difference) -> str:
    """In a word what a difference means: better, worse or unclear."""
    if difference.told == "unclear":
        return "unclear"
    return "better" if (difference.told == "less") == (figure.name in LESS_IS_BETTER) else "worse"


def sentence(figure: PairedFigure, one: str, other: str, difference: Difference) -> str:
    """What a difference means; `one` and `other` are what the two are called."""
    return _finished([_clause(figure, one, other, difference)], difference)


def headlines(result: CompareResult) -> list[str]:
    """One sentence for every adapter but the first: the effect, the answers, and the drift where it differs."""
    first = result.first
    figures = [
        result.figure("share_closed") or result.figure("divergence"),
        result.figure("right", result.measured_on) or result.figure("right") or result.figure("same"),
    ]
    drift = result.figure("drift")
    told = []
    for adapter in result.adapters[1:]:
        clauses: list[str] = []
        differences: list[Difference] = []
        for figure in (*figures, drift):
            difference = figure.difference(adapter.condition, first.condition) if figure else None
            if figure is None or difference is None or (figure is drift and difference.told == "unclear"):
                continue
            subject = "it" if any(one.told != "unclear" for one in differences) else adapter.label
            clauses.append(_clause(figure, subject, first.label, difference, named=bool(clauses)))
            differences.append(difference)
        told.append(_finished(clauses, differences[0]))
    return told


def warnings(result: CompareResult) -> list[str]:
    """What a reader has to know before believing the figures; nothing where all is well."""
    told = [text for adapter in result.adapters for text in _about_adapter(adapter, result)]
    rest = result.unseen
    if result.unseen_figures:
        told.append(f"Figures on the {rest} questions that none is known to have been trained on are given as well.")
    elif result.leaked:
        told.append(
            f"Only {rest} questions are left that none is known to have been trained on: too few for figures of their "
            f"own, which take {LEAST_ROWS}."
        )
    if len(result.measured.questions[result.measured_on]) < LEAST_ROWS:
        count = len(result.measured.questions[result.measured_on])
        told.append(f"{count} questions tell nothing about others: give {LEAST_ROWS} or more as heldout_file.")
    if result.gap.is_none:
        told.append("The prompt changes (almost) nothing on these rows: there is nothing to be near to.")
    if result.left_out:
        told.append(f"Left out, to keep it short: {'; '.join(result.left_out)}. With proof: full, all is measured.")
    return told


def assurance(result: CompareResult) -> str:
    """That the questions are fair to all, where that is known; nothing where it is not."""
    if any(adapter.trained_on is None or adapter.trained_on for adapter in result.adapters):
        return ""
    return f"None of the {len(result.asked)} questions was trained on by any of the adapters."


def compared_with(result: CompareResult) -> str:
    """On how many questions the adapters differ."""
    every = result.questions()
    different = sum(result.differs(answered) for _, answered in every)
    return f"The adapters answer {different} of {len(every)} questions differently."


def _about_adapter(adapter: ComparedAdapter, result: CompareResult) -> list[str]:
    name, known = adapter.label, adapter.trained_on
    if known is None and adapter.same_prompt is None:
        return [
            f"What {name} was trained on is not known, as its folder does not tell: these questions may have been "
            "among it, and its prompt may have been another."
        ]
    told = []
    if known is None:
        told.append(f"Whether {name} was trained on these questions is not known: its folder does not tell.")
    elif known:
        told.append(
            f"{name} was trained on {len(known)} of the {len(result.asked)} questions: its figures on all of them do "
            "not tell how it does on others."
        )
    if adapter.anchors:
        told.append(
            f"{name} was held in place on {adapter.anchors} of the rows that its drift is measured on (they were its "
            "anchors): its drift may look too small."
        )
    if adapter.same_prompt is None:
        told.append(f"Which prompt {name} was baked with is not known: its folder does not tell.")
    elif not adapter.same_prompt:
        told.append(
            f"{name} was baked with another prompt than that of this comparison, and is held against this one all the "
            "same."
        )
    return told


def _finished(clauses: Sequence[str], first: Difference) -> str:
    """Clauses as a sentence; the first begins with the name of an adapter, which stays as it is, or tells nothing."""
    text = "; ".join(clauses)
    return f"{text[0].upper() + text[1:] if first.told == 'unclear' else text}."


def _clause(figure: PairedFigure, one: str, other: str, difference: Difference, *, named: bool = False) -> str:
    """What a difference means, without a capital at its beginning and without a full stop.

    `named`: the reader knows already between which two, where none is told.
    """
    n, about = difference.n, _about(figure)
    subject = _SUBJECTS[figure.name].format(about=about) + ("" if named else f" between {one} and {other}")
    rows = "rows" if figure.name == "drift" else "questions"
    low, high = difference.low, difference.high
    if difference.told != "unclear" and low is not None and high is not None:
        more = difference.told == "more"
        size, (least, most) = _size(figure, difference.mean), (low, high) if more else (-high, -low)
        verb = _VERBS[figure.name][0 if more else 1].format(size=size, about=about)
        return f"{one} {verb} {other} ({_number(figure, least)} to {_number(figure, most)})"
    if n < LEAST_ROWS:
        return f"a difference in {subject} cannot be told from {n} {rows}; that takes {LEAST_ROWS}"
    if low is None or high is None:
        return f"no difference in {subject} was seen on {n} {rows}; how large it is on others is not known"
    if difference.stderr == 0:
        return f"no difference in {subject} was seen on {n} {rows}, which could miss one of up to {_size(figure, high)}"
    return (
        f"no difference in {subject} can be told from {n} {rows} ({_signed(figure, low)} to "
        f"{_signed(figure, high)}{'' if figure.name in LESS_IS_BETTER else ' points'})"
    )


def _about(figure: PairedFigure) -> str:
    return figure.about if figure.name == "rule" else TITLES[figure.about]


def _size(figure: PairedFigure, value: float) -> str:
    unit = "nats per token" if figure.name in LESS_IS_BETTER else "points"
    return f"{_number(figure, abs(value))} {unit}"


def _number(figure: PairedFigure, value: float) -> str:
    """Points to one decimal, or more where that would be zero; nats per token to two figures."""
    if figure.name in LESS_IS_BETTER:
        return decimal(value, 2)
    points = 100 * value
    return f"{points:.1f}" if abs(points) >= 0.1 or points == 0 else decimal(points, 1)


def _signed(figure: PairedFigure, value: float) -> str:
    return _number(figure, value) if value == 0 else f"{'+' if value > 0 else '−'}{_number(figure, abs(value))}"


def measured(figure: PairedFigure, condition: Condition) -> Estimate | None:
    """A figure as it was measured; none where it is what it is by definition."""
    return None if (figure.name, condition) in _FIXED else figure.of(condition)
