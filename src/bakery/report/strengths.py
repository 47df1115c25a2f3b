"""An adapter proved at one strength or several: results.json, the page, and the tables in the terminal.

Strength scales what the adapter adds: 0 is the base, 1 the bake as it was trained.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bakery import __version__
from bakery.engine.distill.conditions import BAKED
from bakery.evaluation.proof import Gap, Proof
from bakery.report.page import page
from bakery.report.results import SCHEMA, proof_figures, write_answers, write_json
from bakery.report.summary import decimal, nats, percent
from bakery.report.terminal import print_figures


@dataclass(frozen=True)
class EvalResult:
    """The proofs of one adapter."""

    adapter: Path  # its folder
    base_model: str  # as the settings name it
    output_dir: Path  # where results.json, answers.jsonl and report.html lie
    proofs: tuple[tuple[float, Proof], ...]  # by strength, ascending
    seconds: dict[str, float]  # by stage

    @property
    def best(self) -> float:
        """The strength with the smallest `cost`; of equals, the one nearest to the trained strength."""
        return min(self.proofs, key=lambda entry: (cost(entry[1]), abs(1 - entry[0])))[0]

    @property
    def main(self) -> tuple[float, Proof]:
        """The proof to show in full: the one at the trained strength, or else at the best."""
        wanted = 1.0 if any(strength == 1.0 for strength, _ in self.proofs) else self.best
        return next(entry for entry in self.proofs if entry[0] == wanted)


def cost(proof: Proof) -> float:
    """Divergence from the prompted model plus drift, nats per token."""
    return proof.divergence.after.mean + (proof.drift.mean if proof.drift else 0.0)


def eval_figures(result: EvalResult) -> dict[str, Any]:
    """The content of results.json of an evaluation: the proof at the main strength, and the sweep."""
    strength, proof = result.main
    return {
        "schema": SCHEMA,
        "bakery": __version__,
        "adapter": str(result.adapter),
        "base_model": result.base_model,
        "strength": strength,
        **proof_figures(proof),
        "sweep": [sweep_figures(*entry) for entry in result.proofs],
        "best_strength": result.best,
        "seconds": {name: round(seconds, 3) for name, seconds in result.seconds.items()},
    }


def sweep_figures(strength: float, proof: Proof) -> dict[str, Any]:
    """One point of the curve of strength."""
    closed, accuracy = proof.divergence.share_closed, proof.main_set.conditions[BAKED].accuracy
    return {
        "strength": strength,
        "share_closed": closed.mean if closed else None,
        "divergence": proof.divergence.after.mean,
        "drift": proof.drift.mean if proof.drift else None,
        "accuracy": accuracy.mean if accuracy else None,
        "cost": cost(proof),
    }


def write_eval(result: EvalResult) -> None:
    """results.json, answers.jsonl and report.html into the result's folder."""
    folder, figures = result.output_dir, eval_figures(result)
    folder.mkdir(parents=True, exist_ok=True)
    strength, proof = result.main
    write_answers(proof, folder / "answers.jsonl")
    sweep = figures["sweep"] if len(result.proofs) > 1 else []
    about = f"{result.adapter} on {result.base_model}, at strength {strength:g}."
    (folder / "report.html").write_text(page(proof, "An adapter, evaluated", about, sweep=sweep), encoding="utf-8")
    write_json(folder / "results.json", figures)


def print_eval(result: EvalResult, console: Console) -> None:
    """The proof at the main strength and, of a sweep, the curve."""
    strength, proof = result.main
    console.print(Text.assemble("\n", (str(result.adapter), "bold"), f" at strength {strength:g}"))
    print_figures(proof, console)
    if len(result.proofs) > 1:
        console.print()
        console.print(_sweep(result))
    folder = result.output_dir
    console.print(
        Text(f"\nEvery figure is in {folder}/results.json; the full report is report.html in the same folder.")
    )


def _sweep(result: EvalResult) -> Table:
    table = Table(title="Strength", title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2))
    for title in ("strength", "gap closed", "distance from prompted", "drift", "correct"):
        table.add_column(title, justify="right")
    for strength, proof in result.proofs:
        closed, accuracy = proof.divergence.share_closed, proof.main_set.conditions[BAKED].accuracy
        is_best = strength == result.best
        table.add_row(
            f"{strength:g}{'  best' if is_best else ''}",
            percent(closed).value if closed else "",
            decimal(proof.divergence.after.mean),
            decimal(proof.drift.mean) if proof.drift else "",
            percent(accuracy).value if accuracy else "",
            style="bold" if is_best else "",
        )
    return table


def print_gap(gap: Gap, console: Console) -> None:
    """The gap in three lines, and whether a bake would refuse it."""
    table = Table(title="Context gap", title_justify="left", title_style="bold", box=None, pad_edge=False)
    for label, cell in (
        ("nats per token from the prompted model", nats(gap.divergence)),
        ("same next token", percent(gap.top_1)),
        *((("same greedy answer", percent(gap.agreement)),) if gap.agreement else ()),
    ):
        table.add_row(label, cell.value, Text(cell.range))
    console.print(table)
    if gap.is_none:
        console.print(Text("The prompt changes (almost) nothing on these rows: a bake would ask for --allow_no_gap."))
