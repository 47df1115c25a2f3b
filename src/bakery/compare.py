"""Comparing adapters that are there already: the same questions to each of them, to the base and to the prompted model.

Nothing is trained, and nothing is written but the comparison in its own folder. The base is loaded once, and all
adapters beside one another.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bakery.engine.distill.conditions import Condition, adapter_names
from bakery.evaluate import open_to_prove
from bakery.evaluation.budget import within
from bakery.evaluation.measured_adapters import comparable_rows, measure_adapters, work
from bakery.evaluation.proof_rows import ProofRows, as_rows
from bakery.evaluation.proving import measure_baseline
from bakery.evaluation.trained_on import context_of, trained_on
from bakery.progress import Progress
from bakery.report.comparison.outputs import write_comparison
from bakery.report.comparison.result import ComparedAdapter, CompareResult
from bakery.rows.bake_data import BakeData, load_bake_data
from bakery.settings.build import BakeSettings
from bakery.settings.paths import check_adapter, check_adapters, distinct_ends, try_output


def run_compare(
    settings: BakeSettings,
    adapters: Sequence[str | Path],
    *,
    output_dir: str | Path | None = None,
    progress: Progress | None = None,
    data: BakeData | None = None,
) -> CompareResult:
    """Ask several adapters the questions of these settings and hold each against the first; nothing is trained.

    Args:
        settings: those of the first one's bake, or any with the prompt and the questions to compare by.
        adapters: folders of two or more PEFT adapters of the same base.
        output_dir: where the comparison goes; none: the folder `compare` in the first adapter's.
        progress: where stages are shown; none: on standard error.
        data: the rows, where they are read already.

    Raises:
        ConfigError: there are fewer than two adapters, one is given twice, or one belongs to another base.
        ModelError: an adapter cannot be loaded, or does not fit the others.
        ResourceError: the comparison cannot be written.
        BakeryError: whatever else a bake refuses.
    """
    progress = progress or Progress()
    check_adapters([str(each) for each in adapters], "compare")
    for each in adapters:
        check_adapter(str(each), settings.model.model_name_or_path, f"compare: {each}")
    folders = [Path(each).expanduser() for each in adapters]
    output = Path(output_dir or folders[0] / "compare").expanduser()
    try_output(str(output))
    data = data or load_bake_data(settings.context, settings.data)
    names = adapter_names(len(folders))
    further = dict(zip(names[1:], folders[1:], strict=True))
    evaluator, rows = open_to_prove(settings, folders[0], progress, data, further)
    rows = comparable_rows(rows)
    if settings.bakery.proof == "quick":
        rows = within(rows, 0)
    conditions = [Condition(((name, 1.0),)) for name in names]
    with progress.stage("gap", "asking base and prompt", rows.work[0], "answers") as on_progress:
        baseline = measure_baseline(evaluator, rows, on_progress)
    with progress.stage("proof", "asking the adapters", work(rows) * len(names), "answers") as on_progress:
        measured = measure_adapters(baseline, conditions, on_progress)
    labels = distinct_ends(folders)
    result = CompareResult(
        adapters=tuple(
            _with_history(ComparedAdapter(folder, label, condition), rows, context_of(data))
            for folder, label, condition in zip(folders, labels, conditions, strict=True)
        ),
        base_model=settings.model.model_name_or_path,
        output_dir=output,
        measured_on=rows.measured_on,
        gap=baseline.gap,
        measured=measured,
        left_out=rows.left_out,
        seconds=dict(progress.seconds),
    )
    write_comparison(result)
    return result


def _with_history(adapter: ComparedAdapter, rows: ProofRows, context: str) -> ComparedAdapter:
    """The adapter with what of these rows and of this prompt it was trained on."""
    history = trained_on(adapter.folder)
    questions = [row for questions in rows.sets.values() for row in as_rows(questions)]
    others = [row for own in rows.side_effects.values() for row in own]
    return replace(
        adapter,
        trained_on=history.asked(questions),
        anchors=len(history.anchored(others)),
        same_prompt=None if history.context is None else history.context == context,
    )
