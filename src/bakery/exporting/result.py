"""What an export did, as plain data: export.json and what the terminal says. docs/results.md describes every key."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bakery import __version__
from bakery.exporting.asking import AnswerCheck, TextCheck
from bakery.exporting.mlx import WeightCheck

SCHEMA = 1
"""Version of export.json."""


@dataclass(frozen=True)
class ExportResult:
    """One export.

    Args:
        to: the form.
        output_dir: where it lies.
        adapter: the folder that it was made from.
        adapter_sha256: of that adapter's weights.
        base_model: a hub id, or an absolute folder.
        strength: of the adapter.
        dtype: number format of the weights.
        measured_on: which questions were asked.
        text: how their text becomes tokens.
        answers: what was said to them; None where what was written cannot be run here.
        asked: what it was that was asked, in words.
        weights: the weights read back and compared; None where answers tell more.
        not_run: what was not tried, and why.
        template_variables: those of the chat template that a client has to send along.
        writes_date: whether the chat template writes the date.
    """

    to: str
    output_dir: Path
    adapter: Path
    adapter_sha256: str
    base_model: str
    strength: float
    dtype: str
    measured_on: str
    text: TextCheck
    answers: AnswerCheck | None = None
    asked: str | None = None
    weights: WeightCheck | None = None
    not_run: str | None = None
    template_variables: dict[str, Any] = field(default_factory=dict)
    writes_date: bool = False


def export_figures(result: ExportResult) -> dict[str, Any]:
    """The content of export.json."""
    values = asdict(result)
    del values["output_dir"]
    return {"schema": SCHEMA, "bakery": __version__, **values, "adapter": str(result.adapter)}


def told(result: ExportResult) -> list[str]:
    """What people are told of it, line by line."""
    lines = [f"{result.output_dir}: {result.to}, {result.dtype}, strength {result.strength:g}"]
    if answers := result.answers:
        lines.append(
            f"  equal answers: {answers.equal_by_ids} of {answers.questions} by token ids, {answers.equal_as_text} as "
            f"text; log-probabilities differ by at most {answers.largest_difference:.1e} ({result.asked})"
        )
    if weights := result.weights:
        lines.append(
            f"  read back: {weights.equal} of {weights.layers} layers change the base exactly as the adapter does, the "
            f"others by at most {weights.largest_difference:.1e}"
        )
    if result.text.same_tokens < result.text.questions:
        others = result.text.questions - result.text.same_tokens
        lines.append(f"  warning: as text, {others} of {result.text.questions} questions become other tokens")
    if result.not_run:
        lines.append(f"  not run: {result.not_run}")
    if result.template_variables:
        lines.append(f"  requests have to carry chat_template_kwargs: {result.template_variables}")
    return lines
