"""The verdict on a bake: one level, and the sentences that bear it out, drawn from the findings of its proof.

harmful   further from the prompt than before, or other behaviour is damaged: do not use it
failed    less than half of the effect is there
unknown   the measurement does not tell: too few rows, rows that were trained on, answers that were cut
partial   more than half is there, and less than the prompt does
good      as if prompted, on rows that were not trained on, with the answers to show for it
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bakery.errors import VerdictError
from bakery.evaluation.findings import Finding, drift_told, findings
from bakery.evaluation.proof import Proof

VerdictLevel = Literal["good", "partial", "failed", "harmful", "unknown"]
_WORST_FIRST: tuple[VerdictLevel, ...] = ("harmful", "failed", "unknown", "partial", "good")
USABLE: tuple[VerdictLevel, ...] = ("good", "partial")
HEADLINES: dict[VerdictLevel, str] = {
    "good": "Good: the baked model answers as if it were prompted.",
    "partial": "Partial: some of what the prompt does is missing.",
    "failed": "Failed: the baked model does not do what the prompt does.",
    "harmful": "Harmful: do not use this adapter.",
    "unknown": "Unknown: what was measured does not tell whether the bake is good.",
}
"""What people read first."""


@dataclass(frozen=True)
class Verdict:
    """Whether a bake can be used, and why; the last sentences say what to do."""

    level: VerdictLevel
    reasons: tuple[str, ...]

    @property
    def usable(self) -> bool:
        """Whether the adapter is worth using as it is."""
        return self.level in USABLE

    @property
    def headline(self) -> str:
        """The verdict in a sentence."""
        return HEADLINES[self.level]


def verdict(proof: Proof) -> Verdict:
    """The verdict on a bake, from the figures of its proof alone."""
    return conclusion(findings(proof), _little_drift(proof))


def conclusion(told: Sequence[Finding], little_drift: Sequence[str] = ()) -> Verdict:
    """The verdict that findings leave room for; `little_drift`: said where none of them tells of drift."""
    limits: list[VerdictLevel] = [one.limits for one in told if one.limits]
    level = min([*limits, "good"], key=_WORST_FIRST.index)
    drift = [one.text for one in told if one.about == "drift"] or little_drift
    if level == "good":
        return Verdict(level, (*(one.text for one in told if one.level == "good"), *drift))
    deciding = [one.text for one in told if one.limits in (level, "unknown")]  # doubts about the measurement as well
    remedies = [one.text for one in told if one.about == "remedy"] if level != "unknown" else []
    return Verdict(level, tuple(dict.fromkeys((*deciding, *drift, *remedies))))


def refuse_under(proof: Proof, least: float | None) -> None:
    """Stop a script whose bake is not as good as it asks for.

    Args:
        proof: of the finished bake.
        least: the share of the gap that is to be closed; None: whatever it is.

    Raises:
        VerdictError: less is closed, nobody knows how much, or the bake did harm.
    """
    if least is None:
        return
    closed = proof.divergence.share_closed
    refuse_level_under(verdict(proof).level, closed.mean if closed else None, least)


def refuse_level_under(level: VerdictLevel, closed: float | None, least: float | None) -> None:
    """The same for a level and the share of the gap that is closed, None where nobody knows.

    Raises:
        VerdictError: as above.
    """
    if least is None:
        return
    share = "an unknown share" if closed is None else f"{closed:.1%}"
    if level == "harmful" or closed is None or closed < least:
        raise VerdictError(f"fail_under {least:g}: {share} of the gap is closed, and the verdict is {level}")


def _little_drift(proof: Proof) -> list[str]:
    """The drift where it was measured and no finding tells of it."""
    drift, name = proof.drift, proof.drifted_on
    if drift is None or name is None:
        return []
    return [drift_told(drift.mean, name)]
