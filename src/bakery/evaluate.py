"""`bakery eval`: the same proof for an adapter that is there already, at its trained strength or at several.

And the context gap alone, which is worth a look before any bake.

Strength scales what the adapter adds: 0 is the base, 1 the bake, between them it is half baked. Everything that does
not depend on the adapter is measured once.
"""

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import nn

from bakery import __version__
from bakery.engine.model.loading import adapter_strength, attach_adapter, load_adapter, load_model, load_tokenizer
from bakery.errors import ConfigError, ModelError
from bakery.evaluation.evaluator import Evaluator
from bakery.evaluation.proof import Gap, Proof
from bakery.evaluation.proof_rows import ProofRows, keep_aside, proof_rows
from bakery.evaluation.proving import measure_gap, prepare, prove
from bakery.progress import Progress
from bakery.report.page import page
from bakery.report.results import SCHEMA, proof_figures, write_answers, write_json
from bakery.report.summary import decimal, nats, percent
from bakery.report.terminal import print_figures
from bakery.rows.bake_data import BakeData, load_bake_data
from bakery.scoring.rules import parse_rules
from bakery.settings.build import BakeSettings
from bakery.training.checkpoints import read_date
from bakery.training.stopping import stops_early
from bakery.training.trainer import ContextBakingTrainer

SWEEP = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
STRONGEST = 1.5


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
        """The strength at which what is missing of the prompt and what has drifted are smallest together, in nats."""
        return min(self.proofs, key=lambda entry: (cost(entry[1]), abs(1 - entry[0])))[0]

    @property
    def main(self) -> tuple[float, Proof]:
        """The proof to show in full: the one at the trained strength, or else at the best."""
        wanted = 1.0 if any(strength == 1.0 for strength, _ in self.proofs) else self.best
        return next(entry for entry in self.proofs if entry[0] == wanted)


def cost(proof: Proof) -> float:
    """Nats per token still missing to the prompted model, plus nats per token of drift elsewhere."""
    return proof.divergence.after.mean + (proof.drift.mean if proof.drift else 0.0)


def run_eval(
    settings: BakeSettings,
    adapter: str | Path,
    strengths: Sequence[float] = (1.0,),
    *,
    output_dir: str | Path | None = None,
    progress: Progress | None = None,
    data: BakeData | None = None,
) -> EvalResult:
    """Prove what an adapter does with the context and the rows of these settings; nothing is trained.

    Args:
        settings: those of the bake, or any with the same context: what the adapter is held against.
        adapter: folder of a PEFT adapter.
        strengths: multiples of its trained scale, 0 to 1.5.
        output_dir: where the results go; none: the folder `eval` in the adapter's.
        progress: where stages are shown; none: on standard error.
        data: the rows, where they are read already.

    Raises:
        ConfigError: a strength is out of range.
        ModelError: the folder is no adapter, or does not fit the base.
        BakeryError: whatever else a bake refuses.
    """
    wanted = check_strengths(strengths)
    progress = progress or Progress()
    folder = Path(adapter)
    if not (folder / "adapter_config.json").is_file():
        raise ModelError(f"adapter: {folder} holds no adapter_config.json; give the folder of a PEFT adapter")
    place = Path(output_dir or folder / "eval")
    with progress.clock("load"):
        model = load_adapter(load_model(settings.model), folder)
    evaluator, rows = _examination(settings, model, place, progress, data, read_date(folder))
    before, after = rows.work
    with progress.stage("gap", "measuring the gap", before, "answers") as on_progress:
        exam = prepare(evaluator, rows, on_progress)
    proofs = []
    with progress.stage("proof", "measuring the proof", after * len(wanted), "answers") as on_progress:
        for strength in wanted:
            with adapter_strength(model, strength):
                proofs.append((strength, prove(exam, on_progress, merged=settings.bakery.weights == "merged")))
    base, seconds = settings.model.model_name_or_path, dict(progress.seconds)
    result = EvalResult(folder, base, place, tuple(proofs), seconds)
    write_eval(result)
    return result


def run_gap(settings: BakeSettings, *, progress: Progress | None = None, data: BakeData | None = None) -> Gap:
    """How much the prompt of these settings changes the model; nothing is trained and nothing written.

    Raises:
        BakeryError: whatever a bake refuses.
    """
    progress = progress or Progress()
    with progress.clock("load"):
        model = attach_adapter(load_model(settings.model), settings.lora)
    evaluator, rows = _examination(settings, model, Path(settings.bakery.output_dir or "outputs"), progress, data)
    asked = rows.sets.get(rows.measured[0]) or next(iter(rows.sets.values()))
    with progress.stage(
        "gap", "measuring the gap", 2 * len(asked) + 2 * len(rows.measured[1]), "answers"
    ) as on_progress:
        return measure_gap(evaluator, rows, on_progress)


def print_gap(gap: Gap, console: Console) -> None:
    """The gap in three lines, and what it means."""
    table = Table(title="Context gap", title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_row(
        "nats per token from the prompted model", nats(gap.divergence).value, Text(nats(gap.divergence).range)
    )
    for label, share in (("same next token", gap.top_1), ("same greedy answer", gap.agreement)):
        table.add_row(label, percent(share).value, Text(percent(share).range))
    console.print(table)
    if gap.is_none:
        console.print(Text("The prompt changes (almost) nothing on these rows: a bake would ask for --allow_no_gap."))


def _examination(
    settings: BakeSettings,
    model: nn.Module,
    place: Path,
    progress: Progress,
    data: BakeData | None,
    today: datetime | None = None,
) -> tuple[Evaluator, ProofRows]:
    """The model behind the settings' views, and the rows a bake with these settings would be proved on."""
    args = copy.copy(settings.bakery)
    args.output_dir = str(place)
    data = data or load_bake_data(settings.context, settings.data)
    data = keep_aside(data, settings.data.validation_share, args.seed, needed=stops_early(args))
    trainer = ContextBakingTrainer(
        model=model,
        args=args,
        context_config=settings.context,
        train_dataset=data.train,
        eval_dataset=data.validation or None,
        prefix_messages=data.prefix,
        processing_class=load_tokenizer(settings.model),
        progress=progress,
        today=today,
    )
    longest = args.eval_max_new_tokens or args.trajectory_length
    evaluator = Evaluator.by(trainer.engine, trainer.builder, longest, args.seed + 2)
    return evaluator, proof_rows(data, parse_rules(settings.data.rules))


def check_strengths(strengths: Sequence[float]) -> list[float]:
    """Sorted, each once.

    Raises:
        ConfigError: there is none, or one is out of range.
    """
    for strength in strengths:
        if not 0 <= strength <= STRONGEST:
            raise ConfigError(f"command line: --strength: must be at least 0 and at most {STRONGEST:g}, got {strength}")
    if not strengths:
        raise ConfigError("command line: --strength: has no value; write --strength 0.5 or --strength sweep")
    return sorted(set(strengths))


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
    closed, d = proof.divergence.share_closed, proof.divergence
    accuracy = next(iter(score.accuracy for score in [*proof.main_set.conditions.values()][2:3]), None)
    return {
        "strength": strength,
        "share_closed": closed.mean if closed else None,
        "divergence": d.after.mean,
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
    (folder / "report.html").write_text(page(proof, "An adapter, examined", about, sweep=sweep), encoding="utf-8")
    write_json(folder / "results.json", json.loads(json.dumps(eval_figures(result))))


def print_eval(result: EvalResult, console: Console) -> None:
    """The proof at the main strength and, of a sweep, the curve."""
    strength, proof = result.main
    console.print(Text.assemble("\n", (str(result.adapter), "bold"), f" at strength {strength:g}"))
    print_figures(proof, console)
    if len(result.proofs) > 1:
        console.print()
        console.print(_sweep(result))
    console.print(Text(f"\nEvery figure is in {result.output_dir}/results.json; look at report.html beside it."))


def _sweep(result: EvalResult) -> Table:
    table = Table(title="Strength", title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2))
    for title in ("strength", "gap closed", "nats from prompted", "nats of drift", "right"):
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
