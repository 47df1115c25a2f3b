"""The proof in rounded figures: sections of lines, the same for terminal, model card and page."""

from collections.abc import Mapping
from dataclasses import dataclass

from bakery.engine.distill.conditions import BAKED, BAKED_PROMPTED, BASE, PROMPTED, Condition
from bakery.evaluation.estimates import Estimate
from bakery.evaluation.evaluator import CONDITIONS
from bakery.evaluation.proof import Merged, Proof, ScoredSet

COLUMNS = ("base", "prompted", "baked", "baked + prompt")
FOOTNOTE = (
    "{small} are 95 % intervals over prompts. Nats per token measure how differently two models continue: "
    "0 is the same model."
)
ROW_TITLES = {
    "heldout": "held-out questions",
    "eval": "evaluation questions",
    "validation": "validation rows",
    "training": "training rows",
}
_DRIFT_TITLES = {"anchor_file": "your prompts", "neutral": "neutral prompts"}


@dataclass(frozen=True)
class Cell:
    """One figure as people read it, and its 95 % interval where it has one."""

    value: str = ""
    range: str = ""


Cells = tuple[Cell, Cell, Cell, Cell]


@dataclass(frozen=True)
class Line:
    """A label and a cell for each of `COLUMNS`."""

    label: str
    cells: Cells


@dataclass(frozen=True)
class Section:
    """Lines that answer one question."""

    title: str
    lines: tuple[Line, ...]


def sections(proof: Proof, break_even: int | None = None) -> list[Section]:
    """Everything that was measured, under the questions people ask; `break_even` in requests, where it is known."""
    shown = [Section("Does it answer as if prompted?", _effect(proof))]
    if proof.rules:
        rules = tuple(
            Line(score.rule.name, _voices({condition: percent(found) for condition, found in score.conditions.items()}))
            for score in proof.rules
        )
        shown.append(Section("Which rules does it keep?", rules))
    shown.append(Section("Is the rest unchanged?", _rest(proof)))
    if proof.merged:
        shown.append(Section("Is it the same merged?", _merged(proof.merged)))
    return [*shown, Section("What does it save?", _savings(proof, break_even))]


def percent(estimate: Estimate) -> Cell:
    """A share, in percent; the interval to a decimal where it is narrow."""
    low, high = 100 * estimate.low, 100 * estimate.high
    return Cell(f"{100 * estimate.mean:.1f} %", _range(low, high, "{:.1f}" if high - low < 2 else "{:.0f}"))


def nats(estimate: Estimate) -> Cell:
    """A divergence."""
    low, high = (decimal(max(0.0, bound), 2) for bound in (estimate.low, estimate.high))
    return Cell(decimal(estimate.mean), "" if low == high else f"{low}–{high}")


def decimal(value: float, digits: int = 3) -> str:
    """A number to so many significant figures, and no more than four decimals."""
    return "0" if value == 0 else f"{round(value, 4):.{digits}g}" if abs(value) >= 1e-4 else "<0.0001"


def _range(low: float, high: float, form: str) -> str:
    return "" if low == high else f"{form.format(low)}–{form.format(high)}"


def _effect(proof: Proof) -> tuple[Line, ...]:
    d = proof.divergence
    lines = [
        Line(
            f"right, {len(found.answers)} {ROW_TITLES[name]}",
            _voices(
                {condition: percent(score.accuracy) for condition, score in found.conditions.items() if score.accuracy}
            ),
        )
        for name, found in proof.sets.items()
        if found.scored
    ]
    lines.append(Line("same answer as the prompted", _agreements(proof.main_set)))
    lines.append(
        Line(
            "nats per token from prompted",
            _voices(
                {
                    BASE: nats(d.before),
                    PROMPTED: Cell("0"),
                    BAKED: nats(d.after),
                    BAKED_PROMPTED: nats(d.both),
                }
            ),
        )
    )
    if d.share_closed:
        closed = {BASE: Cell("0 %"), PROMPTED: Cell("100 %"), BAKED: percent(d.share_closed)}
        lines.append(Line("share of that gap closed", _voices(closed)))
    lengths = {condition: Cell(f"{score.length.mean:.1f}") for condition, score in proof.main_set.conditions.items()}
    lines.append(Line("tokens an answer", _voices(lengths)))
    stops = {
        condition: Cell(f"{100 * score.stopped.mean:.0f} %") for condition, score in proof.main_set.conditions.items()
    }
    lines.append(Line("answers ended by itself", _voices(stops)))
    return tuple(lines)


def _agreements(found: ScoredSet) -> Cells:
    return _voices(
        {
            condition: Cell("100 %") if condition is PROMPTED else percent(score.agreement)
            for condition, score in found.conditions.items()
        }
    )


def _rest(proof: Proof) -> tuple[Line, ...]:
    lines = [
        Line(
            f"nats from base, {_DRIFT_TITLES[name]}",
            _voices({BASE: Cell("0"), BAKED: nats(found)}),
        )
        for name, found in proof.side_effects.items()
    ]
    neutral = proof.generalisation.get("neutral")
    if neutral:
        cells = {BASE: nats(neutral.before), PROMPTED: Cell("0"), BAKED: nats(neutral.after)}
        lines.append(Line("nats from prompted, elsewhere", _voices(cells)))
    return tuple(lines)


def _merged(found: Merged) -> tuple[Line, ...]:
    """The merged model against base and adapter apart, in the column of the baked model."""
    figures = {
        "nats per token from the adapter": nats(found.divergence),
        "largest log-probability step": Cell(decimal(found.largest)),
        "same next token": percent(found.agreement),
    }
    return tuple(Line(label, _voices({BAKED: cell})) for label, cell in figures.items())


def _savings(proof: Proof, break_even: int | None) -> tuple[Line, ...]:
    cost = proof.request_cost
    saved = Cell(str(round(cost.saved_tokens)))
    seconds = (Cell(f"{1000 * s:.3g} ms") for s in (cost.baked_seconds, cost.prompted_seconds, cost.baked_seconds))
    lines = [
        Line("prompt tokens a request", (Cell("0"), saved, Cell("0"), saved)),
        Line("time to read it (alone, here)", _voices(dict(zip(CONDITIONS, seconds, strict=False)))),
    ]
    if cost.saved_bytes:
        memory = Cell(size(cost.saved_bytes))
        lines.append(Line("memory for the prompt", (Cell("0"), memory, Cell("0"), memory)))
    if break_even:
        lines.append(Line("requests until it has paid off", _voices({BAKED: Cell(f"{break_even:,}")})))
    return tuple(lines)


def size(count: int) -> str:
    """Bytes as people read them."""
    value, units = float(count), iter(("B", "KiB", "MiB"))
    for unit in units:
        if value < 1024:
            return f"{value:.3g} {unit}"
        value /= 1024
    return f"{value:.3g} GiB"


def _voices(cells: Mapping[Condition, Cell]) -> Cells:
    base, prompted, baked, both = (cells.get(condition, Cell()) for condition in CONDITIONS)
    return base, prompted, baked, both
