"""`ContextBakingTrainer`: the Hugging Face trainer whose loss is the divergence from the prompted teacher.

`train()` first does what is done once: sample the answers that are missing, try the shortcuts, ask the teacher.
Then transformers' loop runs; every step is one packed forward pass and one fused loss.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerControl, set_seed
from transformers.trainer_callback import PrinterCallback
from transformers.trainer_callback import ProgressCallback as TransformersProgress
from transformers.trainer_utils import TrainOutput

from bakery.chat.rendering import freeze_dates
from bakery.chat.views import ViewPair, view_builder
from bakery.engine.attention.packed import packed
from bakery.engine.attention.packing import Packed
from bakery.engine.distill.batches import Batch, within_budget, without_targets_from
from bakery.engine.distill.batches import prompt_baking_collator as prompt_baking_collator
from bakery.engine.distill.cache import Cache
from bakery.engine.distill.engine import Engine
from bakery.engine.distill.forward import target_states
from bakery.engine.distill.teacher import LiveTeacher, Teacher
from bakery.engine.model.foreign_adapter import weight_not_finite
from bakery.engine.model.fused_lora import fusable_layers, fused_lora
from bakery.engine.model.structure import hidden_size, unwrap
from bakery.engine.session import Session, adapted_model, session_of
from bakery.errors import DataError, NumericError
from bakery.manifest import MANIFEST
from bakery.progress import NO_PROGRESS, Progress, ProgressCallback, Verbosity
from bakery.rows.bake_data import check_something_to_bake
from bakery.rows.conversations import Conversation, Message
from bakery.rows.prefix import load_prefix
from bakery.settings.arguments import BakeryConfig
from bakery.settings.config import ContextConfig, LoraConfig
from bakery.training.arguments import settled
from bakery.training.bake_rows import Views, bake_rows, rows_by_name, view_rows
from bakery.training.callbacks import FiniteGradients, RunningMeans, ShowSteps
from bakery.training.chat_date import read_date, write_date
from bakery.training.checkpoints import CheckedResume, Checkpoint, WholeCheckpoints, checkpoint_to_resume, take_over
from bakery.training.lengths import check_lengths
from bakery.training.preparation import Preparation, SampledAnswer, learned_pairs
from bakery.training.pushes import SelectivePushes
from bakery.training.saved_model import write_saved_model
from bakery.training.schedule import OpenSchedule, without_idle_start
from bakery.training.stopping import StopWhenDone, UntilDone

CACHE = "_cache"  # the hub's upload leaves out what begins like this


class ContextBakingTrainer(SelectivePushes, CheckedResume):
    """Bake `context_config` into the adapter of `model`.

    Args:
        model: a peft model; or a base model, or the name of one, which then gets an adapter; or a `Session`, which
            brings tokenizer and views along.
        args: how to bake.
        context_config: what to bake.
        train_dataset: rows as `bakery.rows` reads them: `create_dataset(...)`, a datasets.Dataset, a list of dicts.
        eval_dataset: rows on which the divergence is measured during training.
        processing_class: the tokenizer; loaded along when `model` is a name.
        data_collator: `prompt_baking_collator`, the default.
        anchor_dataset: rows on which the model is to stay as it is (never behind the prefix).
        prefix_messages: the prefix, where it is already read; else `context_config` says where it is.
        lora_config: the adapter to attach when the model has none.
        progress: where stages are shown.
        today: the date that the chat template may write; that of now when omitted.
        others: anything else `transformers.Trainer` takes, such as callbacks and optimizers.

    Raises:
        BakeryError: when rows cannot be read or aligned, or there is nothing to bake.
    """

    def __init__(
        self,
        model: PreTrainedModel | nn.Module | str | Session,
        args: BakeryConfig | None = None,
        context_config: ContextConfig | None = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        data_collator: Callable[..., Any] | None = None,
        *,
        anchor_dataset: Any = None,
        prefix_messages: Sequence[Message] | None = None,
        lora_config: LoraConfig | None = None,
        progress: Progress | None = None,
        today: datetime | None = None,
        **others: Any,
    ) -> None:
        args = args or BakeryConfig()
        self.progress = progress or Progress(Verbosity.QUIET if args.disable_tqdm else Verbosity.NORMAL)
        self.rows = bake_rows(train_dataset, anchor_dataset, eval_dataset)
        if not isinstance(model, Session):
            context = context_config or ContextConfig()
            prefix = load_prefix(context) if prefix_messages is None else prefix_messages
            adapted, tokenizer = adapted_model(model, processing_class, lora_config, args.seed)
            model = session_of(adapted, tokenizer, view_builder(tokenizer, context, prefix, today), args, self.progress)
        self.session = model
        context_rules = self.session.builder.rules
        check_something_to_bake(self.rows.train, context_rules.prefix, context_rules.retained)
        self.schedule = OpenSchedule() if args.open_ended else None
        args = settled(args, hidden_size(self.session.model), [*self.rows.train, *self.rows.anchors])
        self._checkpoints, args.save_total_limit = WholeCheckpoints(args.save_total_limit), None
        if args.stops_early and not self.rows.validation:
            few = f"there are too few prompts to take some from training ({len(self.rows.train)})"
            remedy = "give eval_dataset, or leave both out"
            raise DataError(f"target_divergence and patience need validation rows, and {few}; {remedy}")
        self._view_rows(args)
        args.dataloader_pin_memory &= torch.accelerator.is_available()
        super().__init__(
            model=self.session.model,
            args=args,
            train_dataset=self.rows.train,
            eval_dataset=self.rows.validation or None,
            processing_class=self.session.tokenizer,
            data_collator=data_collator or prompt_baking_collator,
            **others,
        )
        self.model_accepts_loss_kwargs = True  # the loss is divided by the tokens of the whole optimiser step
        self.trajectories: list[tuple[Conversation, list[SampledAnswer]]] = []
        self.stopping = StopWhenDone(args.target_divergence, args.patience, self._seconds_left)
        until_done = partial(UntilDone, on_heldout=bool(self.rows.validation), seconds_left=self._seconds_left)
        self.until_done = until_done(self.schedule) if self.schedule else None
        self._resumed: Checkpoint | None = None
        self._running_means = RunningMeans()
        self._on_tokens: ProgressCallback = NO_PROGRESS
        # The last one sees what the others decide.
        for ours in (self.until_done, self.stopping, FiniteGradients(), self._checkpoints):
            if ours is not None:
                self.add_callback(ours)
        for theirs in (TransformersProgress, PrinterCallback):
            self.remove_callback(theirs)

    # ---- what is done once ----

    def _seconds_left(self) -> float:
        """Seconds that training may still take, by max_minutes."""
        return math.inf if (limit := self.args.max_minutes) is None else limit * 60 - self.progress.elapsed()

    def create_scheduler(self, num_training_steps: int, optimizer: Optimizer | None = None) -> LRScheduler:
        """As in transformers, where every step has a learning rate; without a number of steps, one with an open end."""
        if getattr(self, "lr_scheduler", None) is None:
            if self.schedule:
                made: LRScheduler = LambdaLR(cast(Optimizer, optimizer or self.optimizer), self.schedule)
            else:
                theirs = super().create_scheduler(num_training_steps, optimizer)
                made = without_idle_start(theirs, self.args.get_warmup_steps(num_training_steps))
            self.lr_scheduler, self._created_lr_scheduler = made, True
        return self.lr_scheduler

    def _view_rows(self, args: BakeryConfig) -> None:
        """Build the views of all rows, none of which may be too long."""
        builder, rows = self.session.builder, self.rows
        self.views, self._anchor_views = view_rows(builder, rows.train), view_rows(builder, rows.anchors, anchor=True)
        check_lengths([*self.views.all, *self._anchor_views.all], self.session.model, args)
        self._validation_views = {name: view_rows(builder, own) for name, own in rows.validation.items()}
        self._validation: dict[str, tuple[list[ViewPair], Teacher]] = {}
        self.validation_answers: list[SampledAnswer] = []
        self._teacher: Teacher | None = None
        self._pairs: list[ViewPair] = []

    @cached_property
    def engine(self) -> Engine:
        """The model with the shortcuts it allows, tried on its own rows when first asked for."""
        return self.session.engine(self.views.all)

    @cached_property
    def preparation(self) -> Preparation:
        """What samples answers and asks the teacher, storing both in the run folder."""
        cache = Cache(self.cache_folder, self.session.identity, self.progress.say)
        return Preparation(self.engine, self.args, self.progress, cache, self.session.builder)

    @property
    def pairs(self) -> Sequence[ViewPair]:
        """The rows that are trained on, with their answers, once they are prepared."""
        return self._pairs

    @cached_property
    def _fusable_layers(self) -> list[nn.Module]:
        return fusable_layers(self.model)

    @property
    def cache_folder(self) -> Path:
        """Where answers and the teacher's signal lie for a run that goes on later; may be deleted at any time."""
        return Path(self.args.output_dir) / CACHE

    def prepare(self) -> None:
        """Do what comes before the first step: try the shortcuts, sample missing answers, ask the teacher. Once."""
        if self._teacher is not None:
            return
        preparation, per_prompt = self.preparation, self.args.num_trajectories
        # Rows and anchors are sampled together: the more at once, the faster.
        prompts = [*self.views.prompts, *self._anchor_views.prompts]
        sampled, known = preparation.sample(prompts, self.args.seed)
        unanswered = [row for row in self.rows.train if not row.answered]
        self.trajectories = [
            (row, sampled[at * per_prompt : (at + 1) * per_prompt]) for at, row in enumerate(unanswered)
        ]
        self._pairs = preparation.within_length([*self.views.pairs, *self._anchor_views.pairs, *learned_pairs(sampled)])
        self._teacher = preparation.ask_teacher(self._pairs, known)
        self._checkpoints.teacher = "live" if isinstance(self._teacher, LiveTeacher) else "cached"
        if not isinstance(self._teacher, LiveTeacher):
            self.engine.prefixes.shrink()  # training wants the memory
        self.train_dataset = [
            {"row": row, "input_ids": pair.student_ids, "targets": pair.student_targets}
            for row, pair in enumerate(self._pairs)
        ]

    def train(self, resume_from_checkpoint: str | bool | None = None, *arguments: Any, **named: Any) -> Any:
        """As in transformers, after `prepare`; True resumes from the newest whole checkpoint in output_dir.

        A resumed bake goes on with the date it began with, where the chat template writes one. From a checkpoint with
        which training had ended, the weights are taken over and nothing is trained.

        Raises:
            ConfigError: there is no whole checkpoint to resume from.
            ModelError: a file of the checkpoint cannot be used.
            NumericError: a loss or gradient is not finite.
        """
        if asked := checkpoint_to_resume(resume_from_checkpoint, Path(self.args.output_dir)):
            self.go_on_from(asked)
        checkpoint, self._resumed = self._resumed, None
        self.prepare()
        if checkpoint and checkpoint.ends_training(self.args):
            self.state = take_over(self.model, checkpoint, best=self.args.load_best_model_at_end)
            self.stopping.look_back(self.state.log_history)
            return TrainOutput(self.state.global_step, math.nan, {})
        if checkpoint is None:
            set_seed(self.args.seed)  # whatever was computed before, and whatever an earlier run had computed already
        with self.progress.stage("training", "training", None, "steps") as stage:
            shown, self._on_tokens = ShowSteps(stage, self.progress), stage
            self.add_callback(shown)
            try:
                folder = str(checkpoint.folder) if checkpoint else None
                return super().train(folder, *arguments, **named)
            finally:
                self.remove_callback(shown)

    def go_on_from(self, checkpoint: Checkpoint) -> None:
        """Let the next `train` go on from here, with the date and the kind of teacher of the run that was stopped."""
        self._resumed = checkpoint
        self.progress.say(f"  going on from          {checkpoint.folder.name}{checkpoint.passed_over}")
        if self.args.teacher == "auto" and checkpoint.teacher:
            self.args.teacher = checkpoint.teacher
        began = read_date(checkpoint.folder)
        renderer = self.session.builder.renderer
        if began and freeze_dates(renderer.source, began) != renderer.template:
            self.session = replace(self.session, builder=self.session.builder.on(began))
            self._view_rows(self.args)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """As in transformers, with the date of the chat template and, unless in a checkpoint, what a proof needs.

        Raises:
            NumericError: a weight is not finite; nothing is saved.
        """
        folder = Path(output_dir or self.args.output_dir)
        if name := weight_not_finite(self.model):
            raise NumericError(
                f"the adapter's weight {name} is not finite after step {self.state.global_step}: lower learning_rate, "
                "or use float32 or bfloat16"
            )
        if self.args.should_save:
            (folder / MANIFEST).unlink(missing_ok=True)  # that of what was there before
        super().save_model(output_dir, _internal_call)
        if self.args.should_save:
            self.write_date(folder)
            if not _internal_call:
                write_saved_model(self, folder)

    def write_date(self, folder: Path) -> None:
        """Store the date that the chat template writes, if it does, for whoever resumes or evaluates this folder."""
        if (renderer := self.session.builder.renderer).dated:
            write_date(folder, renderer.today)

    def prefix_tokens(self) -> int:
        """Tokens of prompt that a request saves: the mean over the rows that are not anchors, rounded."""
        rows = self.views.all
        return round(sum(len(row.teacher_ids) - len(row.student_ids) for row in rows) / max(1, len(rows)))

    # ---- every step ----

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Tensor | None]:
        """The batches of one optimiser step and how many target tokens they hold, over all processes."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        if not batches:
            return batches, None
        loader = self.accelerator.gradient_state
        if self.accelerator.num_processes > 1 and loader.end_of_dataloader and loader.remainder > 0:
            before = self.accelerator.process_index * self.args.per_device_train_batch_size
            batches[-1] = without_targets_from(batches[-1], max(0, loader.remainder - before))
        count = torch.tensor(sum(batch["labels"].numel() for batch in batches), device=device)
        total = self.accelerator.gather(count).sum()
        self._on_tokens(0, int(total))
        return batches, total

    def training_step(self, model: nn.Module, inputs: Batch, num_items_in_batch: Any = None) -> Tensor:
        """Forward and backward over a batch, `token_budget` tokens at a time; the gradients add up.

        Packing holds for the backward pass too: checkpointed layers run again there.
        """
        count = num_items_in_batch if num_items_in_batch is not None else inputs["labels"].numel()
        *parts, last = within_budget(inputs, self.engine.token_budget)
        step = super().training_step
        attention = packed(unwrap(model)) if self.engine.shortcuts.packed else nullcontext()
        with attention, fused_lora(self._fusable_layers):
            with self.accelerator.no_sync(model):
                losses = [step(model, part, count) for part in parts]
            return cast(Tensor, sum(losses) + step(model, last, count))

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The divergence summed over this batch's targets, divided by the targets of the whole step: nats per token."""
        assert self._teacher is not None
        batch = Packed(inputs["input_ids"], inputs["position_ids"], tuple(inputs["lengths"].tolist()))
        rows = inputs["rows"][inputs["targets"] > 0].tolist()
        # A batch that only fills up the last step has no targets; it is computed and counts nothing.
        signal = self._teacher.signal([self._pairs[row] for row in rows or inputs["rows"][:1].tolist()])
        with self.session.autocast():
            student = target_states(model, batch, inputs["predicting"], self.engine.shortcuts)
            measured = self.engine.objective.divergence(student, signal[: len(student)].to(student.device))
        total = measured.divergence.sum()
        if not torch.isfinite(total):
            raise NumericError(
                f"the loss is {total.item()} at step {self.state.global_step} (rows {inputs['rows'].tolist()}): "
                "lower learning_rate, or use float32 or bfloat16"
            )
        self._running_means.add(measured)
        count = total.new_tensor(float(num_items_in_batch or inputs["labels"].numel()))
        # Data parallel averages gradients over processes; the sum over processes is wanted.
        loss = total / count * (self.accelerator.num_processes if num_items_in_batch is not None else 1)
        return (loss, {"divergence": measured.divergence}) if return_outputs else loss

    def log(self, logs: dict[str, float], *arguments: Any, **named: Any) -> None:
        """Beside the loss: the teacher's entropy and how often both would say the same."""
        if "loss" in logs:
            logs = {**logs, **self._running_means.read(self.engine.processes)}
        super().log(logs, *arguments, **named)

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Divergence from the teacher on held-out rows: the mean over their target tokens, nats.

        With a dictionary of data sets each is measured under its own name.
        """
        self.prepare()
        if eval_dataset is None or eval_dataset is self.eval_dataset:
            for name, views in self._validation_views.items():
                self._validation[name] = self._validation.get(name) or self._with_teacher(views)
            validation = self._validation
        else:
            rows = rows_by_name(eval_dataset)
            validation = {name: self._with_teacher(view_rows(self.session.builder, own)) for name, own in rows.items()}
        if not validation:
            raise DataError("eval_dataset: there are no rows to evaluate on; give some, or set eval_strategy: no")
        metrics: dict[str, float] = {}
        for name, (pairs, teacher) in validation.items():
            tokens = sum(len(pair.student_targets) for pair in pairs)
            with self.progress.stage("validation", "measuring validation", tokens, "tokens") as on_progress:
                measured = self.engine.compare(self.engine.student_condition, pairs, teacher, on_progress)
            prefix = f"{metric_key_prefix}_{name}" if name else metric_key_prefix
            metrics |= {
                f"{prefix}_loss": float(measured.divergence.mean()),
                f"{prefix}_teacher_entropy": float(measured.teacher_entropy.mean()),
                f"{prefix}_agreement": float(measured.agreement.mean()),
            }
        self.log(metrics)
        self.control: TrainerControl = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _with_teacher(self, views: Views) -> tuple[list[ViewPair], Teacher]:
        sampled, known = self.preparation.sample(views.prompts, self.args.seed + 1)
        self.validation_answers += sampled
        pairs = self.preparation.within_length([*views.pairs, *learned_pairs(sampled)])
        return pairs, self.preparation.ask_teacher(pairs, known)
