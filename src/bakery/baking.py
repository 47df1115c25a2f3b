"""A bake from settings to proof, in three acts: prepare, train, prove."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from statistics import mean

from transformers.trainer_utils import SaveStrategy

from bakery.chat.template_checks import check_template, warnings_for
from bakery.engine.model.heartbeat import listening, meeting_folder
from bakery.engine.model.process_group import ProcessGroup
from bakery.engine.model.structure import hidden_size
from bakery.engine.session import Session, open_session
from bakery.evaluation.budget import SHARE, seconds_a_reply, within
from bakery.evaluation.evaluator import Evaluator
from bakery.evaluation.proof import Gap, Proof, TrainingEnd
from bakery.evaluation.proof_rows import ProofRows, proof_rows
from bakery.evaluation.proving import GAP_ROWS, measure_baseline, measure_gap, measure_proof, refuse_no_gap
from bakery.forecast.figures import BAKE_PARTS, Forecast
from bakery.forecast.outlook import Outlook
from bakery.forecast.telling import Telling
from bakery.interruption import Interruption
from bakery.progress import Progress, Verbosity
from bakery.report.outputs import publish, write_outputs
from bakery.report.results import BakeResult
from bakery.report.run_folder import run_settings, save_inputs
from bakery.resources import check_room, resources_told
from bakery.rows.bake_data import BakeData, load_bake_data
from bakery.scoring.rules import parse_rules
from bakery.settings.build import BakeSettings
from bakery.settings.checks import bake_problems, refuse
from bakery.settings.paths import try_output
from bakery.settings.run_state import locked
from bakery.settings.saving import default_values
from bakery.starting import begin, folder_of
from bakery.training.callbacks import StopWhenAsked
from bakery.training.chat_date import read_date
from bakery.training.checkpoints import Checkpoint, checkpoint_bytes, checkpoint_to_resume, saved_bytes
from bakery.training.lengths import check_prefix
from bakery.training.schedule import learning_rate_of
from bakery.training.stopping import has_stalled, mean_loss, measurements
from bakery.training.trainer import ContextBakingTrainer
from bakery.writing.completion import complete_rows
from bakery.writing.documents import with_document
from bakery.writing.selection import untouched
from bakery.writing.topics import topics_of

_LAST_LOSSES = 3
"""Log lines of the training whose mean is its loss at the end."""


def bake(
    settings: BakeSettings,
    progress: Progress | None = None,
    data: BakeData | None = None,
    *,
    interruption: Interruption | None = None,
    on_trainer: Callable[[ContextBakingTrainer], None] | None = None,
) -> BakeResult:
    """Bake the configured context into an adapter, prove it, and leave everything in `output_dir`.

    Args:
        settings: everything one bake needs to know.
        progress: where stages are shown; none: on standard error.
        data: the rows, where they are read already.
        interruption: asks for an end before the end.
        on_trainer: called with the trainer before it trains, to add callbacks of transformers to it.

    Raises:
        BakeryError: for anything that is refused; until the rows are aligned, nothing is written but what the model
            wrote for them itself.
        Interrupted: the bake was asked to stop; the same call goes on.
    """
    refuse(bake_problems(vars(settings.bakery)))
    is_first = not settings.bakery.process_index
    progress = progress or Progress() if is_first else Progress(Verbosity.QUIET)
    data = data or load_bake_data(settings.context, settings.data)
    if settings.bakery.world_size == 1:
        default_values()  # before there is a trainer
    processes = ProcessGroup.current()
    with ExitStack() as stack:
        stack.enter_context(listening(meeting_folder(processes), processes))
        if is_first:
            stack.enter_context(locked(settings.bakery.output_dir))
            try_output(settings.bakery.output_dir)
        goes_on = processes.from_first(lambda: begin(settings, data))
        prepared = prepare(settings, data, progress, goes_on=goes_on)
        if on_trainer is not None:
            on_trainer(prepared.trainer)
        return _finish(settings, data, prepared, interruption or Interruption())


def plan(settings: BakeSettings, progress: Progress | None = None, data: BakeData | None = None) -> Forecast:
    """What a bake with these settings will take, measured on this machine; nothing is trained and nothing written.

    Args:
        settings: everything the bake would need to know.
        progress: whose clock is used; none: one that shows nothing.
        data: the rows, where they are read already.

    Raises:
        BakeryError: what a bake refuses, as far as a few rows show it.
    """
    progress = progress or Progress(Verbosity.QUIET)
    data = data or load_bake_data(settings.context, settings.data)
    data = with_document(data, settings, progress)
    session = _open(settings, data, progress)
    check_prefix(data.prefix or (), session.builder, session.model, settings.bakery)
    return Outlook.measured(settings, session, data, now=progress.now).forecast(data)


@dataclass(frozen=True)
class PreparedBake:
    """A trainer that has seen its rows, and how much the prompt changes on them, with who asked."""

    trainer: ContextBakingTrainer
    rows: ProofRows
    gap: Gap | None  # None where it is left out with the proof
    evaluator: Evaluator
    progress: Progress
    context: str = ""  # the words of all that is baked, unless they are to stay out of the run folder
    telling: Telling | None = None  # tells what is still to come
    checkpoint: Checkpoint | None = None  # to go on from


def prepare(settings: BakeSettings, data: BakeData, progress: Progress, *, goes_on: bool = False) -> PreparedBake:
    """Load the model, build all views, and measure what the prompt changes before anything is trained.

    `goes_on`: with the run that was stopped in the output folder, from its newest whole checkpoint if there is one.

    Raises:
        BakeryError: the model cannot be loaded, a row cannot be aligned, or the prompt changes nothing.
    """
    args = settings.bakery
    checkpoint = checkpoint_to_resume(goes_on and args.resume_from_checkpoint, folder_of(settings))
    data = with_document(data, settings, progress)
    session = _open(settings, data, progress, read_date(checkpoint.folder if checkpoint else None))
    progress.say(f"baking into {settings.model.model_name_or_path}{_describe(data)}")
    check_prefix(data.prefix or (), session.builder, session.model, args)
    telling = Telling.begin(settings, session, data, progress, resumed=checkpoint is not None)
    data = complete_rows(data, settings, session, progress, resumed=goes_on)
    if telling:
        telling.after("writing", data=data)
    rows = proof_rows(data, parse_rules(settings.data.rules))
    with progress.clock("setup"):
        trainer = ContextBakingTrainer(
            session,
            args,
            train_dataset=data.train,
            eval_dataset=data.validation or None,
            anchor_dataset=data.anchors or None,
            progress=progress,
        )
        checks = check_template(session.tokenizer, settings.context.chat_template_kwargs)
    for line in [*warnings_for(checks, session.builder.rules), *session.builder.remarks()]:
        progress.say(f"  note: {line}")
    evaluator = _evaluator(trainer)
    gap = _gap(evaluator, trainer, rows) if args.measures_gap else None
    context = "\n".join(topic.text for topic in topics_of(data)) if args.keep_prompt else ""
    return PreparedBake(trainer, rows, gap, evaluator, progress, context, telling, checkpoint)


def _gap(evaluator: Evaluator, trainer: ContextBakingTrainer, rows: ProofRows) -> Gap:
    """How much the prompt changes, from a few short answers."""
    count, progress = min(GAP_ROWS, len(rows.measured)), trainer.progress
    with progress.stage("gap", "measuring the gap", 2 * count, "answers") as on_progress:
        gap = measure_gap(evaluator, rows, on_progress, short=True)
    progress.say(f"  the prompt changes the model by {gap.divergence.mean:.3g} nats per token")
    refuse_no_gap(gap, trainer.args.allow_no_gap)
    return gap


def _evaluator(trainer: ContextBakingTrainer, earlier: Evaluator | None = None) -> Evaluator:
    return Evaluator.for_bake(trainer.engine, trainer.session.builder, trainer.args, earlier)


def _open(settings: BakeSettings, data: BakeData, progress: Progress, today: datetime | None = None) -> Session:
    with progress.clock("load"):
        return open_session(
            settings.model,
            adapter=settings.lora,
            context=settings.context,
            prefix_messages=data.prefix or (),
            args=settings.bakery,
            today=today,
            progress=progress,
        )


def _finish(settings: BakeSettings, data: BakeData, prepared: PreparedBake, interruption: Interruption) -> BakeResult:
    """Train what is prepared, prove it, and leave everything in the output folder."""
    trainer, folder, progress = prepared.trainer, folder_of(settings), prepared.progress
    asked = _as_asked(settings, trainer.session)
    if trainer.is_world_process_zero():
        save_inputs(asked, data)
    each = saved_bytes(trainer.model, trainer.processing_class)
    needed = each * _saves(settings) - checkpoint_bytes(folder)  # the older ones make room
    check_room(folder, needed, "the checkpoints and the finished adapter")
    trainer.add_callback(StopWhenAsked(interruption))
    with resources_told(folder, each):
        with interruption.deferred():
            train(prepared)
        result = prove(prepared, settings.model.model_name_or_path)
        if trainer.is_world_process_zero():
            with progress.clock("saving"):
                # Only here: comparing with the default settings makes transformers forget the other processes.
                write_outputs(result, run_settings(asked, data), trainer)
                publish(result, trainer)
    return replace(result, spent=progress.spent())


def _saves(settings: BakeSettings) -> int:
    """How many checkpoints there is to be room for: those that are left, one being written, and the finished bake."""
    args = settings.bakery
    return 1 if args.save_strategy == SaveStrategy.NO else (args.save_total_limit or 2) + 2


def train(prepared: PreparedBake) -> None:
    """Sample what answers are missing, ask the teacher, and train the adapter."""
    with prepared.progress.clock("bake"):
        if prepared.checkpoint:
            prepared.trainer.go_on_from(prepared.checkpoint)
        if prepared.telling:
            prepared.trainer.prepare()
            answers = [len(one.trajectory.ids) for _, own in prepared.trainer.trajectories for one in own]
            prepared.telling.after("gap", "sampling", "teacher", answers=answers)
        prepared.trainer.train()


def prove(prepared: PreparedBake, base_model: str) -> BakeResult:
    """Ask the baked model what the others were asked, and set the figures side by side.

    With `proof: none` nothing is asked, and the result holds what is known without.
    """
    trainer, progress = prepared.trainer, prepared.progress
    proof = None
    if trainer.args.is_proved:
        proof = proof_of(trainer, prepared.rows, prepared.context, prepared.evaluator)
    return BakeResult(
        output_dir=Path(trainer.args.output_dir or "outputs"),
        base_model=base_model,
        proof=proof,
        prefix_tokens=trainer.prefix_tokens(),
        rows=len(trainer.train_dataset),
        steps=trainer.state.global_step,
        final_loss=mean_loss(trainer.state.log_history),
        seconds=dict(progress.seconds),
        spent=progress.spent(),
        curve=tuple(trainer.state.log_history),
        stopped_early=trainer.stopping.reason,
        gap=prepared.gap,
        training=proof.training if proof else _training_end(trainer, prepared.context),
    )


def proof_of(
    trainer: ContextBakingTrainer, rows: ProofRows, context: str = "", earlier: Evaluator | None = None
) -> Proof:
    """The proof of what a trainer has trained, measured on as many of the rows as `proof` allows.

    Args:
        trainer: with its adapter as it is to be proved.
        rows: to measure on.
        context: the words of all that is baked, to name the clauses that no row touches.
        earlier: who has asked the teacher before the bake, and need not ask the same again.

    Raises:
        BakeryError: a row cannot be aligned, or the adapter cannot be merged.
    """
    progress = trainer.progress
    with progress.stage("proof", "measuring the proof", sum(rows.work), "answers") as on_progress:
        evaluator = replace(_evaluator(trainer, earlier), on_progress=on_progress.tokens_only())
        answers = [(answer.prompt, answer.trajectory) for answer in trainer.validation_answers]
        evaluator.learn(answers, trainer.args.sampling_temperature)
        rows = _affordable(evaluator, rows, trainer.args.proof, progress)
        on_progress.expect(sum(rows.work))
        baseline = measure_baseline(evaluator, rows, on_progress)
        proof = measure_proof(baseline, on_progress, merged=trainer.args.weights == "merged")
    return replace(proof, training=_training_end(trainer, context))


def _affordable(evaluator: Evaluator, rows: ProofRows, price: str, progress: Progress) -> ProofRows:
    """The rows that the proof may take the time for."""
    if price == "full":
        return rows
    if price == "quick":
        return within(rows, 0)
    bake = sum(progress.seconds[name] for name in BAKE_PARTS)
    seconds = SHARE * bake - progress.seconds["gap"]
    return within(rows, seconds / seconds_a_reply(evaluator, rows, progress.now))


def _training_end(trainer: ContextBakingTrainer, context: str) -> TrainingEnd:
    args, state = trainer.args, trainer.state
    tokenizer, until_done = trainer.session.tokenizer, trainer.until_done
    if until_done is None:
        name = "max_steps" if args.max_steps > 0 else "num_train_epochs"
        limit = None if trainer.stopping.reason else f"{name}: {getattr(args, name):g}"
    else:
        limit = f"max_minutes: {args.max_minutes:g}" if until_done.ended == "minutes" else None
    losses = measurements(state.log_history, on_heldout=False)
    logged = [loss for _, loss in losses][-_LAST_LOSSES:]
    learned = [str(message.get("content")) for row in trainer.rows.train for message in row.messages]
    sampled = [
        tokenizer.decode(list(answer.trajectory.ids)) for _, answers in trainer.trajectories for answer in answers
    ]
    return TrainingEnd(
        steps=state.global_step,
        epochs=float(state.epoch or 0),
        limit=limit,
        falling=not has_stalled(measurements(state.log_history, on_heldout=True) or losses),
        untouched=tuple(untouched(context, [*learned, *sampled])),
        rows=len(trainer.rows.train),
        anchors=len(trainer.rows.anchors),
        loss=mean(logged) if logged else None,
        rank=trainer.model.peft_config[trainer.model.active_adapter].r,
        learning_rate=args.learning_rate,
        usual_rate=learning_rate_of(hidden_size(trainer.model)),
    )


def _as_asked(settings: BakeSettings, session: Session) -> BakeSettings:
    """The settings with the variable by which the template was asked without thinking, for who evaluates the bake."""
    if not session.builder.thinking_off:
        return settings
    variables = {**(settings.context.chat_template_kwargs or {}), **session.builder.thinking_off}
    return replace(settings, context=replace(settings.context, chat_template_kwargs=variables))


def _describe(data: BakeData) -> str:
    parts = [
        (len(data.train), "rows"),
        (len(data.anchors), "anchors"),
        (len(data.validation), "validation rows"),
        (len(data.heldout), "held-out questions"),
    ]
    counts = ", ".join(f"{count:,} {what}" for count, what in parts if count)
    return f": {counts}" if counts else ""
