"""A bake from settings to proof: the table of contents of this project."""

from pathlib import Path

from bakery.config import BakeSettings
from bakery.data import BakeData, load_bake_data
from bakery.evaluation import Examination, Proof, as_rows, measure_divergence, measure_drift, score_questions
from bakery.models import attach_adapter, load_model, load_tokenizer
from bakery.outputs import write_outputs
from bakery.places import check_output
from bakery.progress import Progress
from bakery.report import BakeResult
from bakery.trainer import ContextBakingTrainer

_MEASURED_ROWS = 64


def bake(settings: BakeSettings, progress: Progress | None = None, data: BakeData | None = None) -> BakeResult:
    """Bake the configured context into an adapter, prove it, and leave everything in `output_dir`.

    Args:
        settings: everything one bake needs to know.
        progress: where stages are shown; none: on standard error.
        data: the rows, where they are read already.

    Raises:
        BakeryError: for anything that is refused; until the rows are read and aligned nothing has been written.
    """
    progress = progress or Progress()
    check_output(vars(settings.bakery))
    data = data or load_bake_data(settings.context, settings.data)
    with progress.clock("load"):
        tokenizer = load_tokenizer(settings.model)
        model = attach_adapter(load_model(settings.model), settings.lora)
    progress.say(f"baking into {settings.model.model_name_or_path}: {_describe(data)}")

    with progress.clock("bake"):
        trainer = ContextBakingTrainer(
            model=model,
            args=settings.bakery,
            context_config=settings.context,
            train_dataset=data.train,
            eval_dataset=data.validation or None,
            anchor_dataset=data.anchors or None,
            prefix_messages=data.prefix,
            processing_class=tokenizer,
            progress=progress,
        )
        outcome = trainer.train(resume_from_checkpoint=settings.bakery.resume_from_checkpoint)

    proof = prove(trainer, data, progress)
    result = BakeResult(
        output_dir=Path(settings.bakery.output_dir or "outputs"),
        base_model=settings.model.model_name_or_path,
        proof=proof,
        prefix_tokens=trainer.prefix_tokens(),
        rows=len(trainer.train_dataset),
        steps=outcome.global_step,
        final_loss=outcome.training_loss,
        seconds=dict(progress.seconds),
    )
    write_outputs(result, settings, trainer)
    return result


def prove(trainer: ContextBakingTrainer, data: BakeData, progress: Progress) -> Proof:
    """Measure what the adapter does: on held-out questions where there are some, else on the rows there are."""
    examination = Examination(
        trainer.engine,
        trainer.builder,
        max_new_tokens=trainer.args.eval_max_new_tokens or trainer.args.trajectory_length,
        seed=trainer.args.seed + 2,
    )
    sets = {name: rows for name, rows in (("heldout", data.heldout), ("eval", data.evaluation)) if rows}
    measured, rows = next(
        (name, rows)
        for name, rows in (
            ("held-out", as_rows(data.heldout)),
            ("evaluation", as_rows(data.evaluation)),
            ("validation", data.validation),
            ("training", data.train[:_MEASURED_ROWS]),
        )
        if rows
    )
    total = 3 * sum(len(questions) for questions in sets.values()) + 3 * len(rows) + len(data.drift)
    with progress.stage("proof", "measuring the proof", total, "answers") as advance:
        return Proof(
            scores={name: score_questions(examination, questions, advance) for name, questions in sets.items()},
            divergence=measure_divergence(examination, rows, advance),
            divergence_rows=measured,
            drift=measure_drift(examination, data.drift, advance) if data.drift else None,
        )


def _describe(data: BakeData) -> str:
    parts = [(len(data.train), "rows"), (len(data.anchors), "anchors"), (len(data.heldout), "held-out questions")]
    return ", ".join(f"{count:,} {what}" for count, what in parts if count)
