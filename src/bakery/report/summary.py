"""What people are told of a bake, the same in terminal, model card and page: its verdict, and its figures rounded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bakery.engine.distill.conditions import BAKED, BAKED_PROMPTED, BASE, PROMPTED, Condition
from bakery.evaluation.estimates import Estimate
from bakery.evaluation.findings import Finding, amount, findings, unproved
from bakery.evaluation.proof import TITLES, AnsweredQuestion, Gap, MergeCheck, Proof, TrainingEnd
from bakery.evaluation.request_cost import RequestCost
from bakery.evaluation.verdict import Verdict, conclusion, verdict

COLUMNS = {BASE: "base", PROMPTED: "prompted", BAKED: "baked", BAKED_PROMPTED: "baked + prompt"}
"""What people read for each condition; the columns of every table in this order."""
FOOTNOTE = (
    "{small} are 95 % intervals over prompts. Distances are KL divergences in nats per token: how differently two "
    "models continue a text; 0 means that they are the same."
)


@dataclass(frozen=True)
class Cell:
    """One figure as people read it, and its 95 % interval where it has one."""

    value: str = ""
    range: str = ""


Cells = dict[Condition, Cell | str]
"""What a line has by condition; figures without an interval may be texts."""


Sections = dict[str, dict[str, list[Cell]]]
"""By title and label, a cell for each of `COLUMNS`."""


@dataclass(frozen=True)
class PayOff:
    """Requests after which a bake has paid off, by how the adapter is served; None where that is not known."""

    apart: int | None = None  # beside its base
    merged: int | None = None  # into its base


@dataclass(frozen=True)
class Summary:
    """What is told of a bake.

    Args:
        verdict: what people read first.
        findings: everything a reader should know, the verdict's reasons among them.
        sections: the figures; empty where nothing was measured.
        remarks: sentences about the figures.
        answered: questions with the answers of every condition.
    """

    verdict: Verdict
    findings: Sequence[Finding]
    sections: Sections
    remarks: tuple[str, ...] = ()
    answered: Sequence[AnsweredQuestion] = ()

    @property
    def others(self) -> list[Finding]:
        """The findings that the verdict does not hold yet."""
        return [one for one in self.findings if one.text not in self.verdict.reasons]

    def footnote(self, small: str) -> str:
        """What the figures mean; `small` names those of the intervals. Nothing where there are none."""
        return " ".join((FOOTNOTE.format(small=small), *self.remarks)) if self.sections else ""


def summary(proof: Proof, pay_off: PayOff | None = None) -> Summary:
    """What a proof tells."""
    remarks = (f"Measured on {TITLES[proof.measured_on]}.", left_out(proof))
    return Summary(
        verdict(proof),
        findings(proof),
        sections(proof, pay_off),
        tuple(remark for remark in remarks if remark),
        proof.main_set.questions,
    )


def summary_without_proof(gap: Gap | None, training: TrainingEnd | None, adapter: Path) -> Summary:
    """What is known of a bake that ended without a proof.

    Args:
        gap: how much the prompt changes, where that was measured before the bake.
        training: how it ended.
        adapter: its folder.
    """
    told = unproved(training, adapter)
    remarks = ("Measured before the training, on the beginnings of a few answers.",)
    return Summary(conclusion(told), told, _gap(gap) if gap else {}, remarks)


def sections(proof: Proof, pay_off: PayOff | None = None) -> Sections:
    """Everything that was measured, under the questions people ask; the pay-off only of a bake that can be used."""
    cells_by_title: dict[str, dict[str, Cells]] = {
        "Does it answer as if prompted?": _effect(proof),
        "Does it follow the rules?": {
            score.name: {condition: percent(share) for condition, share in score.conditions.items()}
            for score in proof.rules
        },
        "Is everything else unchanged?": {
            f"changed under {TITLES[name]}": {BASE: "not at all", BAKED: drift(estimate)}
            for name, estimate in sorted(proof.side_effects.items(), key=lambda item: -item[1].mean)
        },
        "Is it the same when merged?": _merged(proof.merged) if proof.merged else {},
        "What does it save?": _savings(proof.request_cost, pay_off if pay_off and verdict(proof).usable else PayOff()),
    }
    return _shown(cells_by_title)


def _shown(cells_by_title: dict[str, dict[str, Cells]]) -> Sections:
    """The sections and lines that hold figures, with a cell in every column."""
    return {
        title: {label: [_cell(cells.get(c, "")) for c in COLUMNS] for label, cells in lines.items() if cells}
        for title, lines in cells_by_title.items()
        if lines
    }


def percent(share: Estimate) -> Cell:
    """A share, in percent; the interval to a decimal where it is narrow."""
    low, high = 100 * share.low, 100 * share.high
    digits = 1 if high - low < 2 else 0
    return Cell(f"{100 * share.mean:.1f} %", "" if low == high else f"{low:.{digits}f}–{high:.{digits}f}")


def nats(divergence: Estimate) -> Cell:
    """A divergence."""
    low, high = (decimal(max(0.0, bound), 2) for bound in (divergence.low, divergence.high))
    return Cell(decimal(divergence.mean), "" if low == high else f"{low}–{high}")


def drift(divergence: Estimate) -> Cell:
    """How much the model has changed under other prompts: the word first, the nats beside it."""
    figure = nats(divergence)
    return Cell(amount(divergence.mean), figure.value + (f" ({figure.range})" if figure.range else ""))


def decimal(value: float, digits: int = 3) -> str:
    """A number to so many significant figures, and no more than four decimals."""
    return "0" if value == 0 else f"{round(value, 4):.{digits}g}" if abs(value) >= 1e-4 else "<0.0001"


def size(count: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:.3g} GiB"


def _cell(figure: Cell | str) -> Cell:
    return Cell(figure) if isinstance(figure, str) else figure


def _gap(gap: Gap) -> Sections:
    """What was known before the bake."""
    unknown: Cells = {BAKED: "unknown"}
    lines = {
        "distance from prompted": {BASE: nats(gap.divergence), PROMPTED: "0", **unknown},
        "same next token as prompted": {BASE: percent(gap.top_1), PROMPTED: "100 %", **unknown},
    }
    return _shown({"How much does the prompt change?": lines})


def _effect(proof: Proof) -> dict[str, Cells]:
    divergence, main = proof.divergence, proof.main_set.conditions
    closed, other = divergence.share_closed, proof.generalisation.get("neutral")
    both: Cells = {BAKED_PROMPTED: nats(divergence.baked_prompted)} if divergence.baked_prompted else {}
    correct: dict[str, Cells] = {
        f"correct answers, {len(score.questions)} {TITLES[name]}": {
            condition: percent(one.accuracy) for condition, one in score.conditions.items() if one.accuracy
        }
        for name, score in proof.sets.items()
    }
    return correct | {
        "same answer as prompted": {c: percent(score.agreement) for c, score in main.items()} | {PROMPTED: "100 %"},
        "distance from prompted": _distances(divergence.before, divergence.after) | both,
        "share of that distance closed": {BASE: "0 %", PROMPTED: "100 %", BAKED: percent(closed)} if closed else {},
        "distance from prompted, other topics": _distances(other.before, other.after) if other else {},
        "tokens per answer": {c: f"{score.length.mean:.1f}" for c, score in main.items()},
        "complete answers (not cut off)": {c: f"{100 * score.stopped.mean:.0f} %" for c, score in main.items()},
    }


def _distances(before: Estimate, after: Estimate) -> Cells:
    return {BASE: nats(before), PROMPTED: "0", BAKED: nats(after)}


def _merged(merged: MergeCheck) -> dict[str, Cells]:
    """The merged model against base and adapter apart, in the column of the baked model."""
    return {
        "distance from the unmerged adapter": {BAKED: nats(merged.divergence)},
        "largest log-probability difference": {BAKED: decimal(merged.largest_difference)},
        "same next token": {BAKED: percent(merged.agreement)},
    }


def left_out(proof: Proof) -> str:
    """What was not measured for want of time, as a sentence; nothing where all was."""
    if not proof.left_out:
        return ""
    parts = "; ".join(proof.left_out)
    return f"Left out, to keep the proof short: {parts}. With proof: full, everything is measured."


def _savings(cost: RequestCost, pay_off: PayOff) -> dict[str, Cells]:
    seconds = (cost.merged_seconds, cost.prompted_seconds, cost.baked_seconds)
    merged, prompted, baked = (f"{1000 * each:.3g} ms" for each in seconds)
    return {
        "prompt tokens per request": _of_the_prompt(str(round(cost.saved_tokens))),
        "time to first token": {BASE: merged, PROMPTED: prompted, BAKED: baked},
        "time to first token, merged": {BAKED: merged},
        "memory for the prompt": _of_the_prompt(size(cost.saved_bytes)) if cost.saved_bytes else {},
        "requests until it pays off": {BAKED: f"{pay_off.apart:,}"} if pay_off.apart else {},
        "requests until it pays off, merged": {BAKED: f"{pay_off.merged:,}"} if pay_off.merged else {},
    }


def _of_the_prompt(amount: str) -> Cells:
    """What every request with the prompt costs, and none without it."""
    return {BASE: "0", PROMPTED: amount, BAKED: "0", BAKED_PROMPTED: amount}
