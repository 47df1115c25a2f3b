"""What the figures say, in sentences: the verdict that stands above the table. A bad bake is called one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from bakery.engine.distill.conditions import BAKED, PROMPTED
from bakery.evaluation.proof import Proof

CLOSED_WELL, CLOSED_HALF = 0.9, 0.5
"""Shares of the gap from which a bake is called good, and below which it is called failed."""
DRIFT_NATS = 0.1
CLOSED_MERGED, LOST_MERGED = 0.98, 0.2
"""Agreement a merged model must keep with its adapter, and the share of the change that rounding may take."""
_UNMOVED = 0.01
_LOST = 0.05
_LENGTHS = (0.8, 1.25)

Level = Literal["good", "note", "warning"]


@dataclass(frozen=True)
class Finding:
    """One sentence, and how much to worry about it."""

    level: Level
    text: str


def findings(proof: Proof) -> list[Finding]:
    """Everything a reader should know before using the adapter, the worst first."""
    found = [*_gap(proof), *_answers(proof), *_rules(proof), *_elsewhere(proof), *_merged(proof), *_rows(proof)]
    order: tuple[Level, ...] = ("warning", "good", "note")
    return sorted(found, key=lambda finding: order.index(finding.level))


def _gap(proof: Proof) -> Iterator[Finding]:
    d = proof.divergence
    if proof.gap.is_none:
        yield Finding("warning", f"The prompt changes (almost) nothing here ({d.before.mean:.2g} nats per token).")
        return
    share = 1 - d.after.mean / d.before.mean
    if abs(share) < _UNMOVED:
        yield Finding("warning", "The adapter changes nothing: the baked model answers as the base does.")
    elif share < 0:
        yield Finding(
            "warning",
            f"The bake did harm: the baked model is further from the prompted one ({d.after.mean:.2g} nats per token) "
            f"than the base was ({d.before.mean:.2g}).",
        )
    elif share < CLOSED_HALF:
        yield Finding("warning", f"The bake failed: only {share:.0%} of the gap to the prompted model is closed.")
    elif share < CLOSED_WELL:
        yield Finding("warning", f"Half baked: {share:.0%} of the gap to the prompted model is closed.")
    else:
        yield Finding("good", f"{share:.1%} of the gap to the prompted model is closed.")
    if d.both.mean > max(DRIFT_NATS, 2 * d.after.mean):
        yield Finding(
            "note",
            f"Do not give the baked model the prompt as well: that moves it away again ({d.both.mean:.2g} nats).",
        )


def _answers(proof: Proof) -> Iterator[Finding]:
    for name, found in proof.sets.items():
        prompted, baked = found.conditions[PROMPTED], found.conditions[BAKED]
        if baked.stopped.mean < prompted.stopped.mean - _LOST:
            yield Finding(
                "warning",
                f"{1 - baked.stopped.mean:.0%} of the baked answers ({name}) do not end by themselves; "
                f"of the prompted ones {1 - prompted.stopped.mean:.0%} do not.",
            )
        low, high = (bound * prompted.length.mean for bound in _LENGTHS)
        if not low <= baked.length.mean <= high:
            yield Finding(
                "note",
                f"Baked answers ({name}) have {baked.length.mean:.0f} tokens, prompted {prompted.length.mean:.0f}.",
            )
        if baked.accuracy and prompted.accuracy and baked.accuracy.mean < prompted.accuracy.mean - _LOST:
            yield Finding(
                "warning" if baked.accuracy.high < prompted.accuracy.mean else "note",
                f"The baked model is right less often ({name}): {baked.accuracy.mean:.0%}, prompted "
                f"{prompted.accuracy.mean:.0%}.",
            )


def _rules(proof: Proof) -> Iterator[Finding]:
    for score in proof.rules:
        prompted, baked = score.conditions[PROMPTED], score.conditions[BAKED]
        if baked.mean < prompted.mean - _LOST:
            yield Finding(
                "warning" if baked.high < prompted.mean else "note",
                f"A rule was lost: {score.rule.name!r} holds in {baked.mean:.0%} of the baked answers, "
                f"{prompted.mean:.0%} of the prompted ones ({score.n} answers).",
            )


def _elsewhere(proof: Proof) -> Iterator[Finding]:
    for name, found in proof.side_effects.items():
        if found.mean > DRIFT_NATS:
            yield Finding(
                "warning" if name == "anchor_file" else "note",
                f"The model has changed under other prompts too ({_ROWS[name]}): {found.mean:.2g} nats per token from "
                "the base; anchors (anchor_prompts, anchor_dataset) keep it in place.",
            )
    neutral = proof.generalisation.get("neutral")
    if neutral and neutral.share_closed and neutral.share_closed.mean < CLOSED_HALF and not proof.gap.is_none:
        yield Finding(
            "note",
            f"On questions unlike those trained on only {max(0.0, neutral.share_closed.mean):.0%} of the effect "
            "is there; train on more varied prompts if it should be.",
        )


def _merged(proof: Proof) -> Iterator[Finding]:
    found = proof.merged
    if found is None:
        return
    if found.agreement.mean < CLOSED_MERGED or (found.lost or 0.0) > LOST_MERGED:
        lost = "" if found.lost is None else f"; rounding lost {found.lost:.0%} of the adapter's change"
        yield Finding(
            "warning",
            f"The merged model is another one: it agrees with the adapter at {found.agreement.mean:.1%} of the tokens "
            f"(log-probabilities differ by up to {found.largest:.2g}){lost}. Keep the adapter apart, or merge into a "
            "wider number format.",
        )
    else:
        yield Finding("good", f"Merged, it is the same model: log-probabilities differ by {found.largest:.2g} at most.")
    if found.lost is None:
        yield Finding(
            "warning", "The base is quantised: merging rounds small changes away. Merge into the full weights."
        )


_ROWS = {"anchor_file": "rows of anchor_file", "neutral": "neutral rows"}


def _rows(proof: Proof) -> Iterator[Finding]:
    if proof.rows == "training":
        yield Finding("note", "Measured on training rows: there were no others. Give heldout_file or eval_dataset.")
    for name, count in proof.leaks.items():
        yield Finding("note", f"{count} rows of {name} were trained on as well: their figures flatter the bake.")
