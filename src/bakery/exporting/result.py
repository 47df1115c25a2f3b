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
class ServerCheck:
    """What a server that was started with the export makes of the questions.

    Args:
        server: vLLM or llama.cpp.
        text: how their text becomes tokens there.
        answers: what it said to them.
        start_seconds: until it was ready.
    """

    server: str
    text: TextCheck
    answers: AnswerCheck
    start_seconds: float


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
        server: what a server said to them; None where none was asked.
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
    server: ServerCheck | None = None
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
    if result.answers:
        lines += _told_answers(result.answers, f"{result.asked}", result.dtype)
    if result.server:
        lines += _told_answers(result.server.answers, f"in {result.server.server}'s server", result.dtype)
    if weights := result.weights:
        lines.append(
            f"  read back: {weights.equal} of {weights.layers} layers change the base exactly as the adapter does, the "
            f"others by at most {weights.largest_difference:.1e}"
        )
    for text, where in ((result.text, ""), (result.server and result.server.text, " in the server")):
        if text and text.same_tokens < text.questions:
            others = text.questions - text.same_tokens
            lines.append(f"  warning: as text, {others} of {text.questions} questions become other tokens{where}")
    if result.not_run:
        lines.append(f"  not run: {result.not_run}")
    if result.template_variables:
        lines.append(f"  requests have to carry chat_template_kwargs: {result.template_variables}")
    return lines


def _told_answers(answers: AnswerCheck, where: str, dtype: str) -> list[str]:
    lines = [
        f"  equal answers: {answers.equal_by_ids} of {answers.questions} by token ids, {answers.equal_as_text} as "
        f"text; log-probabilities differ by at most {answers.largest_difference:.1e} ({where})"
    ]
    others = answers.questions - answers.equal_by_ids
    if others and dtype != "float32":
        lines.append(
            f"  warning: in {dtype}, {others} of {answers.questions} answers are other than those in float32; read "
            "them, or export with --dtype float32"
        )
    return lines
