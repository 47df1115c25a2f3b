"""A bake from settings to proof: the table of contents of this project."""

from dataclasses import replace
from pathlib import Path

from transformers import set_seed

from bakery.chat.template_checks import check_template, warnings_for
from bakery.engine.model.loading import attach_adapter, load_model, load_tokenizer
from bakery.evaluation.evaluator import Evaluator
from bakery.evaluation.proof_rows import keep_aside, proof_rows
from bakery.evaluation.proving import prepare, prove, refuse_no_gap
from bakery.progress import Progress, Verbosity
from bakery.report.outputs import publish, write_outputs
from bakery.report.results import BakeResult
from bakery.rows.bake_data import BakeData, load_bake_data
from bakery.scoring.rules import parse_rules
from bakery.settings.build import BakeSettings
from bakery.settings.paths import check_output
from bakery.training.checkpoints import checkpoint_to_resume, read_date
from bakery.training.stopping import stops_early
from bakery.training.trainer import ContextBakingTrainer


def bake(settings: BakeSettings, progress: Progress | None = None, data: BakeData | None = None) -> BakeResult:
    """Bake the configured context into an adapter, prove it, and leave everything in `output_dir`.

    Args:
        settings: everything one bake needs to know.
        progress: where stages are shown; none: on standard error.
        data: the rows, where they are read already.

    Raises:
        BakeryError: for anything that is refused; until the rows are read and aligned nothing has been written.
    """
    progress = Progress(Verbosity.QUIET) if settings.bakery.process_index else progress or Progress()
    args = settings.bakery
    if not args.process_index:  # the first process may already be writing when the others look
        check_output(args.output_dir, bool(args.overwrite or args.resume_from_checkpoint))
    data = data or load_bake_data(settings.context, settings.data)
    data = keep_aside(data, settings.data.validation_share, args.seed, needed=stops_early(args))
    rows = proof_rows(data, parse_rules(settings.data.rules))
    trainer = make_trainer(settings, data, progress)
    before, after = rows.work
    with progress.stage("gap", "measuring the gap", before, "answers") as on_progress:
        longest = args.eval_max_new_tokens or args.trajectory_length
        exam = prepare(Evaluator.by(trainer.engine, trainer.builder, longest, args.seed + 2), rows, on_progress)
    progress.say(f"  the prompt moves the model by {exam.gap.divergence.mean:.3g} nats per token")
    refuse_no_gap(exam.gap, args.allow_no_gap)

    with progress.clock("bake"):
        outcome = trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
    with progress.stage("proof", "measuring the proof", after, "answers") as on_progress:
        proof = prove(exam, on_progress, merged=args.weights == "merged")
    result = BakeResult(
        output_dir=Path(args.output_dir or "outputs"),
        base_model=settings.model.model_name_or_path,
        proof=proof,
        prefix_tokens=trainer.prefix_tokens(),
        rows=len(trainer.train_dataset),
        steps=outcome.global_step,
        final_loss=outcome.training_loss,
        seconds=dict(progress.seconds),
        spent=progress.spent(),
        curve=tuple(trainer.state.log_history),
        stopped_early=trainer.stopping.reason,
    )
    with progress.clock("saving"):
        write_outputs(result, settings, trainer)
        publish(result, trainer)
    return replace(result, spent=progress.spent())


def make_trainer(settings: BakeSettings, data: BakeData, progress: Progress) -> ContextBakingTrainer:
    """Model, adapter and views; what is odd about the chat template or the rows is said once, here.

    Raises:
        BakeryError: the model cannot be loaded, or a row's views cannot be aligned.
    """
    args = settings.bakery
    with progress.clock("load"):
        tokenizer = load_tokenizer(settings.model)
        set_seed(args.seed)  # before the adapter's random start
        model = attach_adapter(load_model(settings.model), settings.lora)
    progress.say(f"baking into {settings.model.model_name_or_path}: {_describe(data)}")
    with progress.clock("setup"):
        trainer = ContextBakingTrainer(
            model=model,
            args=args,
            context_config=settings.context,
            train_dataset=data.train,
            eval_dataset=data.validation or None,
            anchor_dataset=data.anchors or None,
            prefix_messages=data.prefix,
            processing_class=tokenizer,
            progress=progress,
            today=read_date(checkpoint_to_resume(args.resume_from_checkpoint, Path(args.output_dir or "outputs"))),
        )
        template_checks = check_template(tokenizer, settings.context.chat_template_kwargs)
    for line in [*warnings_for(template_checks, trainer.builder.rules), *trainer.builder.remarks()]:
        progress.say(f"  note: {line}")
    return trainer


def _describe(data: BakeData) -> str:
    parts = [
        (len(data.train), "rows"),
        (len(data.anchors), "anchors"),
        (len(data.validation), "validation rows"),
        (len(data.heldout), "held-out questions"),
    ]
    return ", ".join(f"{count:,} {what}" for count, what in parts if count)
