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
    """The proofs of one adapter.

    Args:
        adapter: its folder.
        base_model: as the settings name it.
        output_dir: where results.json, answers.jsonl and report.html lie.
        proofs: by strength, ascending.
        seconds: by stage.
    """

    adapter: Path
    base_model: str
    output_dir: Path
    proofs: tuple[tuple[float, Proof], ...]
    seconds: dict[str, float]

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
    folder = result.output_dir
    folder.mkdir(parents=True, exist_ok=True)
    strength, proof = result.main
    write_answers(proof, folder / "answers.jsonl")
    sweep = [sweep_figures(*entry) for entry in result.proofs] if len(result.proofs) > 1 else []
    about = f"{result.adapter} on {result.base_model}, at strength {strength:g}."
    (folder / "report.html").write_text(page(proof, "An adapter, evaluated", about, sweep=sweep), encoding="utf-8")
    write_json(folder / "results.json", eval_figures(result))


def print_eval(result: EvalResult, console: Console) -> None:
    """The proof at the main strength and, of a sweep, the curve."""
    strength, proof = result.main
    console.print(Text.assemble("\n", (str(result.adapter), "bold"), f" at strength {strength:g}"))
    print_figures(proof, console)
    if len(result.proofs) > 1:
        console.print()
        console.print(_sweep(result))
    console.print(
        Text(
            f"\nEvery figure is in {result.output_dir}/results.json; the full report is report.html in the same folder."
        )
    )


def _sweep(result: EvalResult) -> Table:
    table = Table(title="Strength", title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2))
    for title in ("strength", "gap closed", "distance from prompted", "drift", "correct"):
        table.add_column(title, justify="right")
    for strength, proof in result.proofs:
        closed, accuracy = proof.divergence.share_closed, sweep_figures(strength, proof)["accuracy"]
        mark = "  best" if strength == result.best else ""
        table.add_row(
            f"{strength:g}{mark}",
            percent(closed).value if closed else "",
            decimal(proof.divergence.after.mean),
            decimal(proof.drift.mean) if proof.drift else "",
            "" if accuracy is None else f"{100 * accuracy:.1f} %",
            style="bold" if mark else "",
        )
    return table


def print_gap(gap: Gap, console: Console) -> None:
    """The gap in three lines, and whether a bake would refuse it."""
    table = Table(title="Context gap", title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_row(
        "nats per token from the prompted model", nats(gap.divergence).value, Text(nats(gap.divergence).range)
    )
    for label, share in (("same next token", gap.top_1), ("same greedy answer", gap.agreement)):
        table.add_row(label, percent(share).value, Text(percent(share).range))
    console.print(table)
    if gap.is_none:
        console.print(Text("The prompt changes (almost) nothing on these rows: a bake would ask for --allow_no_gap."))
