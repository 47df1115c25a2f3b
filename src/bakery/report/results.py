"""What one bake did, as plain data: results.json and answers.jsonl. docs/results.md describes every key."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakery import __version__
from bakery.engine.distill.conditions import BAKED, BAKED_PROMPTED, BASE
from bakery.evaluation.estimates import Estimate
from bakery.evaluation.evaluator import NAMES
from bakery.evaluation.findings import findings
from bakery.evaluation.proof import Divergence, Merged, Proof, RuleScore, ScoredSet
from bakery.progress import Spent

SCHEMA = 1
"""Version of results.json. It grows by new keys; an old key that changes its meaning raises it."""

_CURVE = ("step", "epoch", "loss", "teacher_entropy", "agreement", "grad_norm", "learning_rate", "eval_loss",
          "eval_teacher_entropy", "eval_agreement")  # fmt: skip


@dataclass(frozen=True)
class BakeResult:
    """What one bake did.

    Args:
        output_dir: where the adapter and everything else lies.
        base_model: what the adapter belongs to, as the user named it.
        proof: what was measured.
        prefix_tokens: tokens of prompt that a request saves (the mean over rows).
        rows: that were trained on.
        steps: of the optimiser.
        final_loss: nats per token, the mean over training.
        seconds: by clock, what ran within it included.
        spent: where the time went; the stages add up to the whole run.
        curve: the log lines of the training.
        stopped_early: why, if the bake ended before its last step.
    """

    output_dir: Path
    base_model: str
    proof: Proof
    prefix_tokens: int
    rows: int
    steps: int
    final_loss: float
    seconds: dict[str, float]
    spent: tuple[Spent, ...]
    curve: tuple[dict[str, Any], ...] = ()
    stopped_early: str | None = None

    @property
    def break_even(self) -> int | None:
        """Requests after which the bake has paid for itself; None when a request saves no time."""
        return self.proof.request_cost.break_even(self.seconds.get("bake", 0.0))


def results(result: BakeResult) -> dict[str, Any]:
    """The content of results.json: plain numbers, divergences in nats per token."""
    return {
        "schema": SCHEMA,
        "bakery": __version__,
        "base_model": result.base_model,
        **proof_figures(result.proof),
        "prefix_tokens_saved": result.prefix_tokens,
        "break_even_requests": result.break_even,
        "training": {
            "rows": result.rows,
            "steps": result.steps,
            "final_loss": result.final_loss,
            "stopped_early": result.stopped_early,
            "curve": [{key: line[key] for key in _CURVE if key in line} for line in result.curve],
        },
        "seconds": {name: round(seconds, 3) for name, seconds in result.seconds.items()},
        "spent": {
            spent.stage: {"seconds": round(spent.seconds, 3), "tokens": spent.tokens, "reused_tokens": spent.reused}
            for spent in result.spent
        },
    }


def proof_figures(proof: Proof) -> dict[str, Any]:
    """Everything of a proof but its gallery."""
    return {
        "findings": [{"level": finding.level, "text": finding.text} for finding in findings(proof)],
        "gap": {
            **_estimate("divergence", proof.gap.divergence),
            **_estimate("top_1", proof.gap.top_1),
            **_estimate("agreement", proof.gap.agreement),
            "largest_row": proof.gap.largest_row,
            "none": proof.gap.is_none,
        },
        "scores": {name: _accuracies(found) for name, found in proof.sets.items() if found.scored},
        "recovered": {name: _or_none(found.recovered) for name, found in proof.sets.items() if found.scored},
        "answers": {name: _manners(found) for name, found in proof.sets.items()},
        "divergence": {"rows": proof.rows, **_divergence(proof.divergence)},
        "rules": [_rule(score) for score in proof.rules],
        "drift": proof.drift.mean if proof.drift else None,
        "drift_stderr": proof.drift.stderr if proof.drift else None,
        "side_effects": {name: _plain(found) for name, found in proof.side_effects.items()},
        "generalisation": {
            name: {
                "before": _plain(found.before),
                "after": _plain(found.after),
                "share_closed": _or_none(found.share_closed),
            }
            for name, found in proof.generalisation.items()
        },
        "noise": {**_estimate("agreement", proof.noise.agreement), "first_difference": proof.noise.first_difference},
        "request_cost": {
            "prompt_tokens": proof.request_cost.saved_tokens,
            "prefill_seconds_prompted": proof.request_cost.prompted_seconds,
            "prefill_seconds_baked": proof.request_cost.baked_seconds,
            "cache_bytes": proof.request_cost.saved_bytes,
        },
        "leaks": dict(proof.leaks),
        "merged": _merged(proof.merged),
    }


def write_results(result: BakeResult, folder: Path) -> None:
    """results.json and answers.jsonl into `folder`."""
    write_json(folder / "results.json", results(result))
    write_answers(result.proof, folder / "answers.jsonl")


def write_answers(proof: Proof, path: Path) -> None:
    """Every question with what every condition said, a line each."""
    with path.open("w", encoding="utf-8") as file:
        for name, found in proof.sets.items():
            for said in found.answers:
                row: dict[str, Any] = {
                    "set": name,
                    "question": said.question.text,
                    "answer": list(said.question.answers),
                    **{NAMES[condition]: reply.text for condition, reply in said.replies.items()},
                }
                if said.right is not None:
                    row["right"] = {NAMES[condition]: right for condition, right in said.right.items()}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_json(path: Path, value: Any) -> None:
    """A value as readable JSON, without NaN or infinity."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _plain(estimate: Estimate) -> dict[str, Any]:
    return {
        "mean": estimate.mean,
        "stderr": estimate.stderr,
        "low": estimate.low,
        "high": estimate.high,
        "n": estimate.n,
    }


def _or_none(estimate: Estimate | None) -> dict[str, Any] | None:
    return None if estimate is None else _plain(estimate)


def _estimate(name: str, estimate: Estimate | None) -> dict[str, Any]:
    """An estimate as flat keys: name, name_stderr, name_low, name_high."""
    if estimate is None:
        return dict.fromkeys((name, f"{name}_stderr", f"{name}_low", f"{name}_high"))
    return {
        name: estimate.mean,
        f"{name}_stderr": estimate.stderr,
        f"{name}_low": estimate.low,
        f"{name}_high": estimate.high,
    }


def _accuracies(found: ScoredSet) -> dict[str, Any]:
    shown = {}
    for condition, score in found.conditions.items():
        if score.accuracy is not None:
            figures = _plain(score.accuracy)
            shown[NAMES[condition]] = {"accuracy": figures.pop("mean"), **figures}
    return shown


def _manners(found: ScoredSet) -> dict[str, Any]:
    return {
        NAMES[condition]: {
            **_estimate("agreement", score.agreement),
            "first_difference": score.first_difference,
            **_estimate("length", score.length),
            **_estimate("stopped", score.stopped),
        }
        for condition, score in found.conditions.items()
    }


def _divergence(found: Divergence) -> dict[str, Any]:
    return {
        **_estimate("before", found.before),
        **_estimate("after", found.after),
        **_estimate("both", found.both),
        **_estimate("share_closed", found.share_closed),
        "tokens": found.tokens,
        "teacher_entropy": found.entropy.mean,
        "floor": found.floor,
        "top_1": {NAMES[condition]: found.top_1[condition].mean for condition in (BASE, BAKED, BAKED_PROMPTED)},
        "positions": [
            {"place": at.place, "n": at.n, **_estimate("before", at.before), **_estimate("after", at.after)}
            for at in found.positions
        ],
    }


def _merged(found: Merged | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        **_estimate("divergence", found.divergence),
        **_estimate("agreement", found.agreement),
        "largest_difference": found.largest,
        "lost": found.lost,
    }


def _rule(score: RuleScore) -> dict[str, Any]:
    conditions = {NAMES[condition]: _plain(found) for condition, found in score.conditions.items()}
    return {"name": score.rule.name, "check": score.rule.check, "n": score.n, **conditions}
