"""What the figures of a proof mean, in sentences, and which verdict each of them leaves room for.

Only this module judges a bake; a bad one is called bad. `verdict` draws the conclusion.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bakery.engine.distill.conditions import BAKED, BASE, PROMPTED
from bakery.evaluation.estimates import Estimate
from bakery.evaluation.proof import TITLES, ConditionScore, Proof, TrainingEnd
from bakery.text import excerpt

CLOSED_WELL, CLOSED_HALF = 0.9, 0.5
"""Shares of the gap from which a bake is called good, and below which it is called failed."""
LEAST_ROWS = 16
"""Fewer questions than this tell nothing about others."""
LITTLE, MUCH, HARM = 0.1, 0.5, 1.0
"""Drift in nats per token: a little below the first, somewhat below the second, then a lot; from the third on, harm."""
MERGED_AGREEMENT, MERGED_LOST = 0.98, 0.2
"""Agreement a merged model must have with its adapter, and the share of the change that rounding may lose."""
_UNMOVED = 0.01
_FEWER = 0.05
_ENDED = 0.8
"""The share of the prompted answers that must have ended by themselves: of cut answers only the beginning is judged."""
_NEVER_ENDS = 0.5
_SAME_TOKEN, _TOKENS_CLOSED = 0.9, 0.7
"""Where no answers are expected: the share of tokens that are the prompted model's, or of the gap in that share."""
_MATTERS = 0.1
"""A prompt that makes so many more answers right is judged by them."""
_LENGTHS = (0.8, 1.25)
_FEW_EPOCHS = 20
_CLAUSES, _CLAUSE = 3, 60
"""Clauses that are named, and characters of each."""
_RATE_TOO_HIGH = 10
"""Times the usual learning rate from which on a bake that did not learn is explained by it."""
_LEARNED = 0.5
"""Training rows with at most this share of the held-out divergence are learned: what is missing is other questions."""

Level = Literal["warning", "good", "note"]
Limit = Literal["harmful", "failed", "unknown", "partial"]
_ORDER: tuple[Level, ...] = ("warning", "good", "note")


@dataclass(frozen=True)
class Finding:
    """One sentence, and how serious it is.

    Args:
        level: a warning, something good, or a note.
        text: the sentence.
        limits: the best verdict that it leaves room for; None: any.
        about: what it tells of besides: what was missing and what to do, or the drift.
    """

    level: Level
    text: str
    limits: Limit | None = None
    about: Literal["remedy", "drift"] | None = None


def findings(proof: Proof) -> list[Finding]:
    """Everything a reader should know before using the adapter, the most serious first."""
    checks = (_gap, _rows, _training, _answers, _elsewhere, _merged)
    unsorted = [finding for check in checks for finding in check(proof)]
    return sorted(unsorted, key=lambda finding: _ORDER.index(finding.level))


def unproved(training: TrainingEnd | None, adapter: Path) -> list[Finding]:
    """The same of a bake that ended without a proof.

    Args:
        training: how it ended, which may say what will be missing.
        adapter: its folder, where the settings for an evaluation lie too.
    """
    command = f"bakery eval --adapter {shlex.quote(str(adapter))}"
    told = [
        Finding(
            "warning",
            "No proof was measured (proof: none): nobody has asked the baked model anything yet.",
            "unknown",
        ),
        Finding("warning", f"To find out how good it is, run: {command}", "unknown"),
    ]
    if training and training.limit and training.falling:
        told.append(_undertrained(training, training.limit, "note"))
    if training and training.untouched:
        told.append(_untouched(training, "note"))
    return told


def amount(drift: float) -> str:
    """How much the model has changed, in words."""
    return "a little" if drift < LITTLE else "somewhat" if drift < MUCH else "a lot"


def drift_told(drift: float, measured_on: str) -> str:
    """The sentence about drift, by the name of the rows under other prompts."""
    return (
        f"Under other prompts the model has changed {amount(drift)} ({drift:.2g} nats per token from the base, "
        f"{TITLES[measured_on]})."
    )


def _gap(proof: Proof) -> Iterator[Finding]:
    divergence, closed = proof.divergence, proof.divergence.share_closed
    before, after, both = divergence.before.mean, divergence.after.mean, divergence.baked_prompted
    if proof.gap.is_none or closed is None:
        yield Finding(
            "warning",
            f"The prompt changes (almost) nothing here ({before:.2g} nats per token), so there is nothing to learn. "
            "Give another prompt, or questions on which it matters.",
            "unknown",
        )
        return
    share = closed.mean
    if abs(share) < _UNMOVED:
        yield Finding("warning", "The adapter changes nothing: the baked model answers like the base.", "failed")
    elif share < 0:
        yield Finding(
            "warning",
            f"The bake did harm: the baked model is further from the prompted one ({after:.2g} nats per token) "
            f"than the base was ({before:.2g}).",
            "harmful",
        )
    elif share < CLOSED_HALF:
        yield Finding(
            "warning", f"The bake failed: only {share:.0%} of the gap to the prompted model is closed.", "failed"
        )
    elif share < CLOSED_WELL:
        yield Finding(
            "warning", f"The bake is incomplete: {share:.0%} of the gap to the prompted model is closed.", "partial"
        )
    elif closed.low < CLOSED_WELL:
        yield Finding(
            "warning",
            f"{share:.1%} of the gap to the prompted model is closed, but on other questions it may be "
            f"{closed.low:.0%} (95 % interval, {closed.n} questions). More held-out questions (heldout_file) tell.",
            "partial",
        )
    else:
        yield Finding("good", f"{share:.1%} of the gap to the prompted model is closed.")
    if both and both.mean > max(LITTLE, 2 * after):
        yield Finding(
            "note",
            f"Use the baked model without the prompt: with both, it is {both.mean:.2g} nats per token from the "
            f"prompted model, without the prompt {after:.2g}.",
        )


def _rows(proof: Proof) -> Iterator[Finding]:
    """Whether the rows that were measured on tell anything about others."""
    count = proof.divergence.after.n
    if proof.measured_on == "training":
        yield Finding(
            "warning",
            "Measured on training rows, as there were no others: that says nothing about other questions. Give "
            "heldout_file or eval_dataset.",
            "unknown",
        )
    elif count < LEAST_ROWS:
        yield Finding(
            "warning",
            f"Measured on {count} {'question' if count == 1 else 'questions'} only, which is too few to judge by: give "
            f"at least {LEAST_ROWS} (heldout_file), or leave self_prompts at auto, and the model writes them.",
            "unknown",
        )
    measured = {"eval": "eval_file", "validation": "eval_dataset"}.get(proof.measured_on)
    for name, leaked in proof.leaks.items():
        yield Finding(
            "warning" if name == measured else "note",
            f"{leaked} rows of {name} were trained on as well: their figures flatter the bake. Take them out of one of "
            "the two.",
            "unknown" if name == measured else None,
        )


def _training(proof: Proof) -> Iterator[Finding]:
    """What was missing: a learning rate that learns, time, questions, or room in the adapter."""
    training, closed = proof.training, proof.divergence.share_closed
    if training is None or proof.gap.is_none or closed is None:
        return
    short = closed.mean < CLOSED_WELL
    level: Level = "warning" if short else "note"
    if short and training.learning_rate >= _RATE_TOO_HIGH * training.usual_rate:
        yield Finding(
            level,
            f"learning_rate {training.learning_rate:g} is too high for this model: lower it to about "
            f"{training.usual_rate:g}, or leave it out.",
            about="remedy",
        )
        return
    undertrained = bool(training.limit) and (training.falling or (short and training.epochs < _FEW_EPOCHS))
    if undertrained and training.limit:
        yield _undertrained(training, training.limit, level)
    if training.untouched:
        yield _untouched(training, level)
    elif short and not undertrained and training.loss is not None:
        yield _missing(training, training.loss, proof.divergence.after.mean)


def _undertrained(training: TrainingEnd, limit: str, level: Level) -> Finding:
    return Finding(
        level,
        f"Undertrained: the bake ended after {training.steps:,} steps ({limit}) while the divergence was still "
        f"falling. Go on with more: raise {limit.partition(':')[0]}, or leave it out, and the bake runs until more "
        "training does not help.",
        about="remedy",
    )


def _untouched(training: TrainingEnd, level: Level) -> Finding:
    quoted = ", ".join(f'"{excerpt(clause, _CLAUSE)}"' for clause in training.untouched[:_CLAUSES])
    more = len(training.untouched) - _CLAUSES
    return Finding(
        level,
        f"The questions never touch {quoted}{f' and {more} more' if more > 0 else ''}: no row that was learned "
        "from holds these names and numbers. Add a training prompt about each.",
        about="remedy",
    )


def _missing(training: TrainingEnd, loss: float, after: float) -> Finding:
    """Why a bake that was trained to its end has not learned enough: too few questions, or too small an adapter."""
    if loss <= _LEARNED * after:
        return Finding(
            "warning",
            f"Too few questions: the {training.rows:,} training rows are learned ({loss:.2g} nats per token), other "
            f"questions are not ({after:.2g}). Give more and more varied training_prompts, or raise self_prompts.",
            about="remedy",
        )
    return Finding(
        "warning",
        f"The adapter is too small: after {training.epochs:.3g} epochs even the training rows are {loss:.2g} nats per "
        f"token from the prompted model. Raise r, now {training.rank}.",
        about="remedy",
    )


def _answers(proof: Proof) -> Iterator[Finding]:
    if proof.cut_in_thoughts:
        yield Finding(
            "note",
            f"{proof.cut_in_thoughts} of the teacher's answers were cut in their thoughts, which are not learned "
            "(target_thinking: false), so the divergence is measured without them: set thinking_length.",
        )
    for name, score in proof.sets.items():
        prompted, baked, title = score.conditions[PROMPTED], score.conditions[BAKED], TITLES[name]
        if name == proof.measured_on and prompted.stopped.mean < _ENDED:
            yield Finding(
                "warning",
                f"{1 - prompted.stopped.mean:.0%} of the prompted answers were cut off at the length limit, so only "
                "their beginnings are judged: raise trajectory_length (and eval_max_new_tokens where it is given).",
                "unknown",
            )
        if baked.stopped.mean < prompted.stopped.mean - _FEWER:
            yield Finding(
                "warning",
                f"{1 - baked.stopped.mean:.0%} of the baked answers to {title} were cut off at the length limit, "
                f"{1 - prompted.stopped.mean:.0%} of the prompted ones.",
                "harmful" if baked.stopped.mean < prompted.stopped.mean - _NEVER_ENDS else "partial",
            )
        shortest, longest = (bound * prompted.length.mean for bound in _LENGTHS)
        if not shortest <= baked.length.mean <= longest:
            yield Finding(
                "note",
                f"Baked answers to {title} have {baked.length.mean:.0f} tokens on average, prompted ones "
                f"{prompted.length.mean:.0f}.",
            )
        yield from _right_answers(score.conditions[BASE], prompted, baked, title)
    if not any(score.recovered for score in proof.sets.values()):
        yield from _same_tokens(proof)
    for rule in proof.rules:
        by_prompted, by_baked = rule.conditions[PROMPTED], rule.conditions[BAKED]
        yield from _fewer(
            by_baked,
            by_prompted,
            f"A rule was lost: {rule.name!r} holds in {by_baked.mean:.0%} of the baked answers, "
            f"{by_prompted.mean:.0%} of the prompted ones ({rule.n} answers).",
        )


def _right_answers(
    base: ConditionScore, prompted: ConditionScore, baked: ConditionScore, title: str
) -> Iterator[Finding]:
    """Whether the right answers bear out what the divergence says."""
    if base.accuracy is None or prompted.accuracy is None or baked.accuracy is None:
        return
    gained, wanted = baked.accuracy.mean - base.accuracy.mean, prompted.accuracy.mean - base.accuracy.mean
    if wanted >= _MATTERS and gained < CLOSED_HALF * wanted:
        yield Finding(
            "warning",
            f"The answers are wrong: {baked.accuracy.mean:.0%} of the baked answers to {title} are right, "
            f"{prompted.accuracy.mean:.0%} of the prompted ones and {base.accuracy.mean:.0%} of the base's.",
            "failed",
        )
        return
    yield from _fewer(
        baked.accuracy,
        prompted.accuracy,
        f"The baked model answers fewer {title} correctly: {baked.accuracy.mean:.0%}, the prompted model "
        f"{prompted.accuracy.mean:.0%}.",
    )


def _same_tokens(proof: Proof) -> Iterator[Finding]:
    """Whether the tokens that are chosen bear out what the divergence says, where no answers are expected."""
    base, baked = (proof.divergence.top_1[condition].mean for condition in (BASE, BAKED))
    if baked >= _SAME_TOKEN or proof.gap.is_none:
        return
    if baked - base < _TOKENS_CLOSED * (1 - base):
        yield Finding(
            "warning",
            f"The answers do not bear the figure out: the baked model chooses the prompted model's next token at "
            f"{baked:.0%} of the tokens only, the base at {base:.0%}.",
            "partial",
        )


def _fewer(baked: Estimate, prompted: Estimate, text: str) -> Iterator[Finding]:
    """Say that the baked share is smaller than the prompted one, where it is."""
    if baked.mean < prompted.mean - _FEWER:
        sure = baked.high < prompted.mean
        yield Finding("warning" if sure else "note", text, "partial" if sure else None)


def _elsewhere(proof: Proof) -> Iterator[Finding]:
    drift, name = proof.drift, proof.drifted_on
    if drift and name and drift.mean >= LITTLE:
        harm, much = drift.mean >= HARM, drift.mean >= MUCH
        yield Finding(
            "warning" if much or name == "anchor_file" else "note",
            f"{drift_told(drift.mean, name)} {_against_drift(proof.training)}",
            "harmful" if harm else "partial" if much else None,
            about="drift",
        )
    neutral = proof.generalisation.get("neutral")
    closed = neutral.share_closed if neutral else None
    if closed and closed.mean < CLOSED_HALF and not proof.gap.is_none:
        yield Finding(
            "note",
            f"On questions unlike the training questions only {max(0.0, closed.mean):.0%} of the gap is closed; "
            "train on more varied prompts if the prompt should work there too.",
        )


def _against_drift(training: TrainingEnd | None) -> str:
    """What limits drift, by what the bake had."""
    if training is None:
        return "An adapter at a smaller strength changes less: bakery eval --strength sweep shows what that costs."
    if training.anchors:
        return (
            f"The {training.anchors:,} anchors, which were to prevent that, are not like these prompts: add rows like "
            "those that matter to you to anchor_dataset, or use the adapter at a smaller strength (bakery eval "
            "--strength sweep shows which)."
        )
    return (
        "There were no anchors, which prevent that: leave self_anchors at auto, or give prompts whose answers are to "
        "stay as they are as anchor_dataset."
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
            "partial",
        )
    else:
        yield Finding("good", f"The merged model is the same: log-probabilities differ by at most {difference}.")
    if merged.lost is None:
        yield Finding(
            "warning",
            "The base is quantised: merging rounds small changes away. Merge into the full weights.",
            "partial",
        )
