"""Proving an adapter that is there already, and the context gap alone, which is worth a look before any bake.

Nothing is trained, and nothing is written but the results of an evaluation in their own folder. Everything that does
not depend on the adapter's strength is measured once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from peft import PeftModel

from bakery.engine.model.loading import load_further_adapter
from bakery.engine.session import Session, open_session
from bakery.errors import ConfigError, ModelError
from bakery.evaluation.budget import within
from bakery.evaluation.evaluator import Evaluator
from bakery.evaluation.proof import Gap
from bakery.evaluation.proof_rows import ProofRows, proof_rows
from bakery.evaluation.proving import measure_baseline, measure_gap, measure_proof
from bakery.progress import Progress
from bakery.report.strengths import EvalResult, write_eval
from bakery.rows.bake_data import BakeData, load_bake_data
from bakery.rows.conversations import unanswered
from bakery.scoring.rules import parse_rules
from bakery.settings.build import BakeSettings
from bakery.settings.config import LoraConfig
from bakery.settings.run_state import check_run
from bakery.training.chat_date import read_date
from bakery.writing.completion import measurable_rows, reserved_rows
from bakery.writing.documents import with_document

SWEEP = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
STRONGEST = 1.5


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
    evaluator, rows = open_to_prove(settings, folder, progress, data)
    if settings.bakery.proof == "quick":
        rows = within(rows, 0)
    with progress.stage("gap", "measuring the gap", rows.work[0], "answers") as on_progress:
        baseline = measure_baseline(evaluator, rows, on_progress)
    proofs = []
    merged = settings.bakery.weights == "merged"
    with progress.stage("proof", "measuring the proof", rows.work[1] * len(wanted), "answers") as on_progress:
        for strength in wanted:
            at_strength = replace(baseline, evaluator=baseline.evaluator.at(strength))
            proofs.append((strength, measure_proof(at_strength, on_progress, merged=merged)))
    result = EvalResult(
        adapter=folder,
        base_model=settings.model.model_name_or_path,
        output_dir=Path(output_dir or folder / "eval"),
        proofs=tuple(proofs),
        seconds=dict(progress.seconds),
    )
    write_eval(result)
    return result


def run_gap(settings: BakeSettings, *, progress: Progress | None = None, data: BakeData | None = None) -> Gap:
    """How much the prompt of these settings changes the model; nothing is trained and nothing written.

    Raises:
        BakeryError: whatever a bake refuses.
    """
    progress = progress or Progress()
    evaluator, rows = open_to_prove(settings, settings.lora, progress, data)
    work = 2 * len(rows.sets[rows.measured_on]) + 2 * len(rows.measured)
    with progress.stage("gap", "measuring the gap", work, "answers") as on_progress:
        return measure_gap(evaluator, rows, on_progress)


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


def open_to_prove(
    settings: BakeSettings,
    adapter: LoraConfig | Path,
    progress: Progress,
    data: BakeData | None = None,
    further: Mapping[str, Path] | None = None,
) -> tuple[Evaluator, ProofRows]:
    """The rows that a bake with these settings would be proved on, and the model with the shortcuts that hold there.

    Args:
        settings: those of the bake.
        adapter: the folder of a trained adapter, or the settings of a fresh one.
        progress: where stages are shown.
        data: the rows, where they are read already.
        further: folders of other adapters of the same base, by the names under which they are loaded beside the first.

    Raises:
        BakeryError: whatever a bake refuses, or an adapter that does not fit.
    """
    session, data = open_bake(settings, adapter, progress, data, further)
    data = measurable_rows(data, settings, session, progress)
    rows = proof_rows(data, parse_rules(settings.data.rules))
    engine = session.engine([session.builder.prompts(unanswered(row)) for row in rows.measured])
    return Evaluator.for_bake(engine, session.builder, settings.bakery), rows


def open_bake(
    settings: BakeSettings,
    adapter: LoraConfig | Path,
    progress: Progress,
    data: BakeData | None = None,
    further: Mapping[str, Path] | None = None,
) -> tuple[Session, BakeData]:
    """The model with an adapter behind the views of a bake, and the rows that are there; the model writes none.

    The arguments are those of `open_to_prove`.

    Raises:
        BakeryError: whatever a bake refuses, or an adapter that does not fit.
    """
    folder = adapter if isinstance(adapter, Path) else None
    for run in [folder, *(further or {}).values()]:
        for line in check_run(run) if run else []:
            progress.say(f"  note: {line}")
    data = data or load_bake_data(settings.context, settings.data)
    # Rows that the model wrote lost their chunk of the document where the prompt stayed out of the run folder.
    data = with_document(reserved_rows(data, settings, folder), settings, progress)
    with progress.clock("load"):
        session = open_session(
            settings.model,
            adapter=adapter,
            context=settings.context,
            prefix_messages=data.prefix or (),
            args=settings.bakery,
            today=read_date(folder),
            progress=progress,
        )
        for name, other in (further or {}).items():
            load_further_adapter(cast(PeftModel, session.model), other, name)
    return session, data
