"""What the figures of a proof mean, in sentences. Only this module judges a bake; a bad one is called bad."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from bakery.engine.distill.conditions import BAKED, PROMPTED
from bakery.evaluation.estimates import Estimate
from bakery.evaluation.proof import TITLES, Proof
from bakery.text import excerpt

CLOSED_WELL, CLOSED_HALF = 0.9, 0.5
"""Shares of the gap from which a bake is called good, and below which it is called failed."""
DRIFT_NATS = 0.1
MERGED_AGREEMENT, MERGED_LOST = 0.98, 0.2
"""Agreement a merged model must have with its adapter, and the share of the change that rounding may lose."""
_UNMOVED = 0.01
_FEWER = 0.05
_LENGTHS = (0.8, 1.25)
_FEW_EPOCHS = 20
_CLAUSES, _CLAUSE = 3, 60
"""Clauses that are named, and characters of each."""

Level = Literal["warning", "good", "note"]
_ORDER: tuple[Level, ...] = ("warning", "good", "note")


@dataclass(frozen=True)
class Finding:
    """One sentence, and how serious it is."""

    level: Level
    text: str


def findings(proof: Proof) -> list[Finding]:
    """Everything a reader should know before using the adapter, the most serious first."""
    checks = (_gap, _training, _answers, _elsewhere, _merged, _rows)
    unsorted = [finding for check in checks for finding in check(proof)]
    return sorted(unsorted, key=lambda finding: _ORDER.index(finding.level))


def _gap(proof: Proof) -> Iterator[Finding]:
    divergence = proof.divergence
    before, after, both = divergence.before.mean, divergence.after.mean, divergence.baked_prompted.mean
    if proof.gap.is_none:
        yield Finding("warning", f"The prompt changes (almost) nothing here ({before:.2g} nats per token).")
        return
    share = 1 - after / before
    if abs(share) < _UNMOVED:
        yield Finding("warning", "The adapter changes nothing: the baked model answers like the base.")
    elif share < 0:
        yield Finding(
            "warning",
            f"The bake did harm: the baked model is further from the prompted one ({after:.2g} nats per token) "
            f"than the base was ({before:.2g}).",
        )
    elif share < CLOSED_WELL:
        verdict = "The bake failed: only" if share < CLOSED_HALF else "The bake is incomplete:"
        yield Finding("warning", f"{verdict} {share:.0%} of the gap to the prompted model is closed.")
    else:
        yield Finding("good", f"{share:.1%} of the gap to the prompted model is closed.")
    if both > max(DRIFT_NATS, 2 * after):
        yield Finding(
            "note",
            f"Use the baked model without the prompt: with both, it is {both:.2g} nats per token from the prompted "
            f"model, without the prompt {after:.2g}.",
        )


def _training(proof: Proof) -> Iterator[Finding]:
    """What was missing: time to learn, or rows about a part of the context."""
    training, before = proof.training, proof.divergence.before.mean
    if training is None or proof.gap.is_none:
        return
    short = 1 - proof.divergence.after.mean / before < CLOSED_WELL
    if training.limit and (training.falling or (short and training.epochs < _FEW_EPOCHS)):
        yield Finding(
            "warning" if short else "note",
            f"Undertrained: the bake ended after {training.steps:,} steps ({training.limit}) while the divergence was "
            f"still falling. Go on with more: raise {training.limit.partition(':')[0]}, or leave it out, and the bake "
            "runs until more training does not help.",
        )
    if training.untouched:
        quoted = ", ".join(f'"{excerpt(clause, _CLAUSE)}"' for clause in training.untouched[:_CLAUSES])
        more = len(training.untouched) - _CLAUSES
        yield Finding(
            "warning" if short else "note",
            f"The questions never touch {quoted}{f' and {more} more' if more > 0 else ''}: no row that was learned "
            "from holds these names and numbers. Add a training prompt about each.",
        )


def _answers(proof: Proof) -> Iterator[Finding]:
    for name, score in proof.sets.items():
        prompted, baked, title = score.conditions[PROMPTED], score.conditions[BAKED], TITLES[name]
        if baked.stopped.mean < prompted.stopped.mean - _FEWER:
            yield Finding(
                "warning",
                f"{1 - baked.stopped.mean:.0%} of the baked answers to {title} were cut off at the length limit, "
                f"{1 - prompted.stopped.mean:.0%} of the prompted ones.",
            )
        shortest, longest = (bound * prompted.length.mean for bound in _LENGTHS)
        if not shortest <= baked.length.mean <= longest:
            yield Finding(
                "note",
                f"Baked answers to {title} have {baked.length.mean:.0f} tokens on average, prompted ones "
                f"{prompted.length.mean:.0f}.",
            )
        if baked.accuracy and prompted.accuracy:
            yield from _fewer(
                baked.accuracy,
                prompted.accuracy,
                f"The baked model answers fewer {title} correctly: {baked.accuracy.mean:.0%}, the prompted model "
                f"{prompted.accuracy.mean:.0%}.",
            )
    for rule in proof.rules:
        by_prompted, by_baked = rule.conditions[PROMPTED], rule.conditions[BAKED]
        yield from _fewer(
            by_baked,
            by_prompted,
            f"A rule was lost: {rule.name!r} holds in {by_baked.mean:.0%} of the baked answers, "
            f"{by_prompted.mean:.0%} of the prompted ones ({rule.n} answers).",
        )


def _fewer(baked: Estimate, prompted: Estimate, text: str) -> Iterator[Finding]:
    """Say that the baked share is smaller than the prompted one, where it is."""
    if baked.mean < prompted.mean - _FEWER:
        yield Finding("warning" if baked.high < prompted.mean else "note", text)


def _elsewhere(proof: Proof) -> Iterator[Finding]:
    for name, change in proof.side_effects.items():
        if change.mean > DRIFT_NATS:
            yield Finding(
                "warning" if name == "anchor_file" else "note",
                f"The model has changed under other prompts too ({TITLES[name]}): {change.mean:.2g} nats per token "
                "from the base; more anchors limit that: raise self_anchors, or give some as anchor_dataset.",
            )
    neutral = proof.generalisation.get("neutral")
    closed = neutral.share_closed if neutral else None
    if closed and closed.mean < CLOSED_HALF and not proof.gap.is_none:
        yield Finding(
            "note",
            f"On questions unlike the training questions only {max(0.0, closed.mean):.0%} of the gap is closed; "
            "train on more varied prompts if the prompt should work there too.",
        )


def _merged(proof: Proof) -> Iterator[Finding]:
    merged = proof.merged
    if merged is None:
        return
    difference = f"{merged.largest_difference:.2g}"
    if merged.agreement.mean < MERGED_AGREEMENT or (merged.lost or 0.0) > MERGED_LOST:
        lost = "" if merged.lost is None else f"; rounding lost {merged.lost:.0%} of the adapter's change"
        yield Finding(
            "warning",
            f"The merged model differs: it chooses the adapter's next token at {merged.agreement.mean:.1%} of the "
            f"tokens (log-probabilities differ by up to {difference}){lost}. Use the adapter unmerged, or merge in a "
            "wider number format.",
        )
    else:
        yield Finding("good", f"The merged model is the same: log-probabilities differ by at most {difference}.")
    if merged.lost is None:
        yield Finding(
            "warning", "The base is quantised: merging rounds small changes away. Merge into the full weights."
        )


def _rows(proof: Proof) -> Iterator[Finding]:
    if proof.measured_on == "training":
        yield Finding("note", "Measured on training rows: there were no others. Give heldout_file or eval_dataset.")
    for name, count in proof.leaks.items():
        yield Finding("note", f"{count} rows of {name} were trained on as well: their figures flatter the bake.")
