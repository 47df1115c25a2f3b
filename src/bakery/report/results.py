"""What one bake did, as plain data: results.json and answers.jsonl. docs/results.md describes every key."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from bakery import __version__
from bakery.engine.distill.conditions import Condition
from bakery.errors import DataError
from bakery.evaluation.evaluator import NAMES
from bakery.evaluation.proof import Gap, Proof, TrainingEnd
from bakery.progress import Spent
from bakery.report.summary import PayOff, Summary, summary, summary_without_proof

SCHEMA = 3
"""Version of results.json. New keys may be added; a key that changes its name or its meaning raises it."""

_CURVE = ("step", "epoch", "loss", "teacher_entropy", "agreement", "grad_norm", "learning_rate", "eval_loss",
          "eval_teacher_entropy", "eval_agreement")  # fmt: skip
_AS_THEY_ARE = tuple(field.name for field in fields(Proof) if field.name not in ("sets", "examples", "training"))
"""The fields of a proof that are keys of results.json under their own names."""


@dataclass(frozen=True)
class BakeResult:
    """What one bake did."""

    output_dir: Path  # where the adapter and everything else lies
    base_model: str  # what the adapter belongs to, as the user named it
    proof: Proof | None  # what was measured; None with `proof: none`
    prefix_tokens: int  # tokens of prompt that a request saves (the mean over rows)
    rows: int  # that were trained on
    steps: int  # of the optimiser
    final_loss: float | None  # nats per token, the mean over training
    seconds: dict[str, float]  # by clock, what ran within it included
    spent: tuple[Spent, ...]  # where the time went; the stages add up to the whole run
    curve: tuple[dict[str, Any], ...] = ()  # the log lines of the training
    stopped_early: str | None = None  # why, if the bake ended before its last step
    gap: Gap | None = None  # how much the prompt changes, as it was known before the first step
    training: TrainingEnd | None = None  # how the training ended

    @property
    def summary(self) -> Summary:
        """What people are told of it."""
        if self.proof is None:
            return summary_without_proof(self.gap, self.training, self.output_dir)
        return summary(self.proof, self.pay_off)

    @property
    def pay_off(self) -> PayOff:
        """Requests after which the seconds saved outweigh those of the bake; unknown without a proof."""
        if self.proof is None:
            return PayOff()
        cost, seconds = self.proof.request_cost, self.seconds.get("bake", 0.0)
        return PayOff(cost.break_even(seconds), cost.break_even(seconds, merged=True))


def results(result: BakeResult) -> dict[str, Any]:
    """The content of results.json: plain numbers, divergences in nats per token."""
    told = result.summary
    usable = told.verdict.usable
    return {
        "schema": SCHEMA,
        "bakery": __version__,
        "base_model": result.base_model,
        **_verdict_figures(told),
        **(_proof_figures(result.proof) if result.proof else _figures_without_proof(result.gap)),
        "prefix_tokens_saved": result.prefix_tokens,
        "break_even_requests": result.pay_off.apart if usable else None,
        "break_even_requests_merged": result.pay_off.merged if usable else None,
        "training": {
            "rows": result.rows,
            "steps": result.steps,
            "final_loss": result.final_loss,
            "stopped_early": result.stopped_early,
            **(_plain(result.training) if result.training else {}),
            "curve": [{key: line[key] for key in _CURVE if key in line} for line in result.curve],
        },
        "seconds": {name: round(seconds, 3) for name, seconds in result.seconds.items()},
        "spent": {
            spent.stage: {"seconds": round(spent.seconds, 3), "tokens": spent.tokens, "reused_tokens": spent.reused}
            for spent in result.spent
        },
    }


def read_results(folder: Path) -> dict[str, Any]:
    """The content of the results.json in a run folder.

    Raises:
        DataError: it is missing or damaged.
    """
    path = folder / "results.json"
    try:
        content = json.loads(path.read_text("utf-8"))
        if not content["verdict"]["level"]:
            raise ValueError("it has no verdict")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        remedy = f"bakery eval --adapter {folder} measures the proof anew"
        raise DataError(f"{path}: is damaged ({error}); {remedy}") from None
    return dict(content)


def proof_figures(proof: Proof) -> dict[str, Any]:
    """Everything of a proof but the texts of its answers."""
    return {**_verdict_figures(summary(proof)), **_proof_figures(proof)}


def _verdict_figures(told: Summary) -> dict[str, Any]:
    figures = {
        "verdict": told.verdict,
        "findings": [{"level": one.level, "text": one.text} for one in told.findings],
    }
    return {name: _plain(value) for name, value in figures.items()}


def _proof_figures(proof: Proof) -> dict[str, Any]:
    figures = {
        **{name: getattr(proof, name) for name in _AS_THEY_ARE},
        "gap": _gap_figures(proof.gap),
        "scores": {name: score.conditions for name, score in proof.sets.items()},
        "recovered": {name: score.recovered for name, score in proof.sets.items()},
        "drift": proof.drift,
        "drifted_on": proof.drifted_on,
    }
    return {name: _plain(value) for name, value in figures.items()}


def _figures_without_proof(gap: Gap | None) -> dict[str, Any]:
    """The same keys without figures, but for the gap where it was measured."""
    names = (*_AS_THEY_ARE, "scores", "recovered", "drift", "drifted_on")
    return {**dict.fromkeys(names), "gap": gap and _plain(_gap_figures(gap))}


def _gap_figures(gap: Gap) -> dict[str, Any]:
    return {**vars(gap), "none": gap.is_none}


def write_answers(proof: Proof, path: Path) -> None:
    """Every question with the reply of every condition, one question per line."""
    with path.open("w", encoding="utf-8") as file:
        for name, score in proof.sets.items():
            for answered in score.questions:
                row = {
                    "set": name,
                    "question": answered.question.text,
                    "answer": answered.question.answers,
                    **{NAMES[condition]: reply.text for condition, reply in answered.replies.items()},
                }
                right = {} if answered.right is None else {"right": _plain(answered.right)}
                file.write(json.dumps(row | right, ensure_ascii=False) + "\n")


def write_json(path: Path, value: Any) -> None:
    """A value as readable JSON, without NaN or infinity."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    """Dataclasses and mappings as JSON objects, conditions by their names."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {NAMES[key] if isinstance(key, Condition) else key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
