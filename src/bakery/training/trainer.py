"""`ContextBakingTrainer`: the Hugging Face trainer whose loss is the divergence from the prompted teacher.

`train()` first does what is done once: sample the answers that are missing, try the shortcuts, ask the teacher.
Then transformers' loop runs; every step is one packed forward pass and one fused loss.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from huggingface_hub.errors import HfHubHTTPError
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer, TrainerControl, set_seed
from transformers.trainer_callback import PrinterCallback
from transformers.trainer_callback import ProgressCallback as TransformersProgress

from bakery.chat.rendering import freeze_dates
from bakery.chat.views import PromptPair, ViewBuilder, ViewPair
from bakery.engine.attention.packed import packed
from bakery.engine.attention.packing import Packed
from bakery.engine.distill.batches import Batch, within_budget, without_targets_from
from bakery.engine.distill.batches import prompt_baking_collator as prompt_baking_collator
from bakery.engine.distill.cache import Store, fingerprint
from bakery.engine.distill.conditions import BAKED
from bakery.engine.distill.engine import Engine, find_paths_on
from bakery.engine.distill.forward import target_states
from bakery.engine.distill.objective import TokenDivergence
from bakery.engine.distill.prefix import PrefixCache
from bakery.engine.distill.teacher import PerTarget, Teacher
from bakery.engine.model.fused_lora import fusable_layers, fused_lora
from bakery.engine.model.loading import attach_adapter, load_model, load_tokenizer, unwrap
from bakery.engine.model.process_group import ProcessGroup
from bakery.errors import DataError, NumericError, ResourceError
from bakery.progress import NO_PROGRESS, Progress, ProgressCallback, Verbosity
from bakery.rows.bake_data import check_something_to_bake
from bakery.rows.conversations import Conversation, Message, conversations
from bakery.rows.prefix import load_prefix
from bakery.settings.arguments import BakeryConfig
from bakery.settings.config import ContextConfig, LoraConfig, ModelConfig
from bakery.training.callbacks import FiniteGradients, ShowSteps
from bakery.training.checkpoints import checkpoint_to_resume, read_date, write_date
from bakery.training.preparation import Preparation, Views, view_rows
from bakery.training.stopping import StopWhenDone, measuring_often, stops_early

# The bases hold the error of the HTTP library in use, whichever it is.
HUB_ERRORS: tuple[type[Exception], ...] = cast(Any, (*HfHubHTTPError.__bases__, ValueError))

_TOKEN_BUDGETS = {"cpu": 2048}
_TOKEN_BUDGET = 8192
"""Tokens computed at once: on the CPU more are not faster, they only hold more memory."""


class ContextBakingTrainer(Trainer):  # type: ignore[misc]
    """Bake `context_config` into the adapter of `model`.

    Args:
        model: a peft model; or a base model, or the name of one, which then gets an adapter.
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
        model: PreTrainedModel | nn.Module | str,
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
        args = measuring_often(args or BakeryConfig())
        if isinstance(model, str):
            named = ModelConfig(model_name_or_path=model)
            processing_class = processing_class or load_tokenizer(named)
            model = load_model(named)
        if processing_class is None:
            raise DataError("processing_class: the tokenizer is needed to build the views")
        if not hasattr(model, "disable_adapter"):
            set_seed(args.seed)  # before the adapter's random start
            model = attach_adapter(model, lora_config or LoraConfig())
        self.context = context_config or ContextConfig()
        self.progress = progress or Progress(Verbosity.QUIET if args.disable_tqdm else Verbosity.NORMAL)
        prefix = load_prefix(self.context) if prefix_messages is None else tuple(prefix_messages)
        rows = _conversations(train_dataset, "train_dataset")
        check_something_to_bake(rows, prefix, self.context.student_retained_turns)
        anchors = [] if anchor_dataset is None else _conversations(anchor_dataset, "anchor_dataset")
        self._rows = [row for row in rows if not row.answered]
        held_out = {} if eval_dataset is None else _by_name(eval_dataset)
        held = {name: _conversations(rows, "eval_dataset") for name, rows in held_out.items()}
        self._given = (processing_class, prefix, rows, anchors, held)
        self._view_all(today)
        self.trajectories: list[tuple[Conversation, list[ViewPair]]] = []
        self._meter = _Meter()
        self._watch: ProgressCallback = NO_PROGRESS
        if not torch.accelerator.is_available():
            args.dataloader_pin_memory = False
        super().__init__(
            model=model,
            args=args,
            train_dataset=[{}],
            eval_dataset=[{}] if eval_dataset is not None else None,
            processing_class=processing_class,
            data_collator=data_collator or prompt_baking_collator,
            **others,
        )
        self.model_accepts_loss_kwargs = True  # the loss is divided by the tokens of the whole optimiser step
        self.stopping = StopWhenDone(args.target_divergence, args.patience)
        if stops_early(args) and eval_dataset is None:
            raise DataError("eval_dataset: target_divergence and patience need validation rows; give some")
        self.add_callback(self.stopping)
        self.add_callback(FiniteGradients())
        for theirs in (TransformersProgress, PrinterCallback):
            self.remove_callback(theirs)

    # ---- what is done once ----

    def _view_all(self, today: datetime | None) -> None:
        """Build the views of all rows; the template writes this date."""
        tokenizer, prefix, rows, anchors, held_out = self._given
        self.builder = ViewBuilder(
            tokenizer,
            prefix_messages=prefix,
            student_retained_turns=self.context.student_retained_turns,
            target_roles=self.context.target_roles,
            target_content_pattern=self.context.target_content_pattern,
            target_span_pattern=self.context.target_span_pattern,
            system_role=cast(Any, self.context.system_role),
            student_system=cast(Any, self.context.student_system),
            chat_template_kwargs=self.context.chat_template_kwargs,
            today=today,
        )
        self._views, self._anchors = view_rows(self.builder, rows), view_rows(self.builder, anchors, anchor=True)
        self._eval_views = {name: view_rows(self.builder, rows) for name, rows in held_out.items()}
        self._eval: dict[str, tuple[list[ViewPair], Teacher]] = {}
        self._teacher: Teacher | None = None

    @cached_property
    def engine(self) -> Engine:
        """The model with the shortcuts it allows, found on its own rows when first asked for."""
        model = unwrap(self.model)
        rows: list[ViewPair | PromptPair] = [*self._views.pairs, *self._views.prompts]
        with self.progress.clock("load"), self.accelerator.autocast():
            prefixes = PrefixCache(model, progress=self.progress)
            paths = find_paths_on(model, rows, prefixes)
        for note in paths.notes:
            self.progress.say(f"  note: {note}")
        return Engine(
            model=model,
            tokenizer=self.processing_class,
            paths=paths,
            prefixes=prefixes,
            token_budget=self.args.token_budget or _TOKEN_BUDGETS.get(self.args.device.type, _TOKEN_BUDGET),
            temperature=self.args.temperature,
            beta=self.args.beta,
            autocast=self.accelerator.autocast,
            processes=ProcessGroup.present(),
        )

    @cached_property
    def preparation(self) -> Preparation:
        """What samples answers and asks the teacher, keeping both in the run folder."""
        about = f"{fingerprint(self.engine.model)} {self.accelerator.mixed_precision}"
        return Preparation(self.engine, self.args, self.progress, Store(self.cache_folder, about))

    @cached_property
    def _plain_layers(self) -> list[nn.Module]:
        return fusable_layers(self.model)

    @property
    def cache_folder(self) -> Path:
        """Where answers and the teacher's signal are kept for a run that goes on later; may be deleted at any time."""
        return Path(self.args.output_dir) / "_cache"  # the hub's upload leaves out what begins like this

    def prepare(self) -> None:
        """Do what comes before the first step: try the shortcuts, sample missing answers, ask the teacher. Once."""
        if self._teacher is not None:
            return
        prepared = self.preparation
        # Rows and anchors are sampled together: the more at once, the faster.
        sampled, known = prepared.sample([*self._views.prompts, *self._anchors.prompts], self.args.seed)
        per_prompt = self.args.num_trajectories
        self.trajectories = [
            (row, sampled[at * per_prompt : (at + 1) * per_prompt]) for at, row in enumerate(self._rows)
        ]
        pairs = prepared.within_length([*self._views.pairs, *self._anchors.pairs, *sampled])
        self._teacher = prepared.ask_teacher(pairs, known)
        if isinstance(self._teacher, PerTarget):
            self.engine.prefixes.clear()  # training wants the memory
        self.train_dataset = [
            {"row": row, "input_ids": pair.student_ids, "targets": pair.student_targets}
            for row, pair in enumerate(pairs)
        ]

    def train(self, resume_from_checkpoint: str | bool | None = None, *arguments: Any, **named: Any) -> Any:
        """As in transformers, after `prepare`; True resumes from the newest complete checkpoint in output_dir.

        A resumed bake goes on with the date it began with, where the chat template writes one.

        Raises:
            ConfigError: there is no complete checkpoint to resume from.
            NumericError: a loss or gradient is not finite.
        """
        checkpoint = checkpoint_to_resume(resume_from_checkpoint, Path(self.args.output_dir))
        began = read_date(checkpoint)
        if began and freeze_dates(self.builder.renderer.source, began) != self.builder.renderer.template:
            self._view_all(began)
        self.prepare()
        with self.progress.stage("training", "training", None, "steps") as stage:
            shown, self._watch = ShowSteps(stage, self.progress), stage
            self.add_callback(shown)
            try:
                return super().train(checkpoint, *arguments, **named)
            finally:
                self.remove_callback(shown)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """As in transformers, with the date beside it that the chat template writes."""
        super().save_model(output_dir, _internal_call)
        if self.args.should_save:
            self.write_date(Path(output_dir or self.args.output_dir))

    def write_date(self, folder: Path) -> None:
        """Keep the date that the chat template writes, if it does, for who resumes or evaluates what is in `folder`."""
        if self.builder.renderer.dated:
            write_date(folder, self.builder.renderer.today)

    def init_hf_repo(self, *arguments: Any, **named: Any) -> None:
        """As in transformers.

        Raises:
            ResourceError: the repository cannot be made.
        """
        try:
            super().init_hf_repo(*arguments, **named)
        except HUB_ERRORS as error:
            name = self.args.hub_model_id or Path(self.args.output_dir).absolute().name
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise ResourceError(f"push_to_hub: cannot create or reach {name}: {reason}") from error

    def prefix_tokens(self) -> int:
        """Tokens of prompt that a request saves: the mean over the rows that are not anchors, rounded."""
        rows: list[ViewPair | PromptPair] = [*self._views.pairs, *self._views.prompts]
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
        self._watch(0, int(total))
        return batches, total

    def training_step(self, model: nn.Module, inputs: Batch, num_items_in_batch: Any = None) -> Tensor:
        """Forward and backward over a batch, `token_budget` tokens at a time; the gradients add up.

        Packing holds for the backward pass too: checkpointed layers run again there.
        """
        count = num_items_in_batch if num_items_in_batch is not None else inputs["labels"].numel()
        *parts, last = within_budget(inputs, self.engine.token_budget)
        step = super().training_step
        attention = packed(unwrap(model)) if self.engine.paths.packed else nullcontext()
        with attention, fused_lora(self._plain_layers):
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
        paths = self.engine.paths
        batch = Packed(inputs["input_ids"], inputs["position_ids"], tuple(inputs["lengths"].tolist()))
        with self.accelerator.autocast():
            teacher = self._teacher.of(inputs["rows"][inputs["targets"] > 0].tolist())
            student = target_states(model, batch, inputs["predicting"], paths)
            found = self.engine.measure.between(student, teacher.to(student.device))
        total = found.divergence.sum()
        if not torch.isfinite(total):
            raise NumericError(
                f"the loss is {total.item()} at step {self.state.global_step} (rows {inputs['rows'].tolist()}): "
                "lower learning_rate, or use float32 or bfloat16"
            )
        self._meter.add(found)
        count = total.new_tensor(float(num_items_in_batch or inputs["labels"].numel()))
        # Data parallel averages gradients over processes; the sum over processes is wanted.
        loss = total / count * (self.accelerator.num_processes if num_items_in_batch is not None else 1)
        return (loss, {"divergence": found.divergence}) if return_outputs else loss

    def log(self, logs: dict[str, float], *arguments: Any, **named: Any) -> None:
        """Beside the loss: the teacher's entropy and how often both would say the same."""
        if "loss" in logs:
            logs = {**logs, **self._meter.read(self.engine.processes)}
        super().log(logs, *arguments, **named)

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Divergence from the teacher on held-out rows: the mean over their target tokens, nats.

        With a dictionary of data sets each is measured under its own name.
        """
        self.prepare()
        if eval_dataset is None or eval_dataset is self.eval_dataset:
            held = self._eval
            for name, views in self._eval_views.items():
                held[name] = held.get(name) or self._with_teacher(views)
        else:
            views_of = {name: _conversations(rows, "eval_dataset") for name, rows in _by_name(eval_dataset).items()}
            held = {name: self._with_teacher(view_rows(self.builder, rows)) for name, rows in views_of.items()}
        if not held:
            raise DataError("eval_dataset: there are no rows to evaluate on; give some, or set eval_strategy: no")
        metrics: dict[str, float] = {}
        for name, pairs_and_teacher in held.items():
            tokens = sum(len(pair.student_targets) for pair in pairs_and_teacher[0])
            with self.progress.stage("validation", "measuring validation", tokens, "tokens") as on_progress:
                found = self.engine.compare(BAKED, *pairs_and_teacher, on_progress)
            prefix = f"{metric_key_prefix}_{name}" if name else metric_key_prefix
            metrics |= {
                f"{prefix}_loss": float(found.divergence.mean()),
                f"{prefix}_teacher_entropy": float(found.teacher_entropy.mean()),
                f"{prefix}_agreement": float(found.agreement.mean()),
            }
        self.log(metrics)
        control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        self.control: TrainerControl = control
        return metrics

    def _with_teacher(self, views: Views) -> tuple[list[ViewPair], Teacher]:
        sampled, known = self.preparation.sample(views.prompts, self.args.seed + 1)
        pairs = self.preparation.within_length([*views.pairs, *sampled])
        return pairs, self.preparation.ask_teacher(pairs, known)


class _Meter:
    """Running means of what the loss sees beside itself, between two log lines."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor | float] = {"teacher_entropy": 0.0, "agreement": 0.0}
        self._count = 0

    def add(self, found: TokenDivergence) -> None:
        self._sums["teacher_entropy"] += found.teacher_entropy.sum()  # stays on the device until it is read
        self._sums["agreement"] += found.agreement.sum()
        self._count += found.agreement.numel()

    def read(self, processes: ProcessGroup) -> dict[str, float]:
        """The means since the last reading, over all processes."""
        read = processes.gather([(*(float(total) for total in self._sums.values()), self._count)])
        *sums, count = (sum(column) for column in zip(*read, strict=True))
        means = {name: total / count for name, total in zip(self._sums, sums, strict=True)} if count else {}
        self.__init__()  # type: ignore[misc]
        return means


class PromptBakingTrainer(ContextBakingTrainer):
    """Older name of `ContextBakingTrainer`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        warnings.warn(
            "PromptBakingTrainer is the older name of ContextBakingTrainer; use that", DeprecationWarning, stacklevel=2
        )
        super().__init__(*arguments, **named)


def _by_name(rows: Any) -> Mapping[str, Any]:
    """Data sets by their names; a single one has the empty name."""
    return rows if isinstance(rows, Mapping) else {"": rows}


def _conversations(rows: Any, name: str) -> list[Conversation]:
    """Rows in any shape `bakery.rows.conversations` reads; conversations stay as they are.

    Raises:
        DataError: when there are none, one is malformed, or their number is not known beforehand.
    """
    if rows is None:
        raise DataError(f"{name}: is missing; give a list of rows or a datasets.Dataset")
    if not hasattr(rows, "__len__"):
        raise DataError(
            f"{name}: a stream ({type(rows).__name__}) has no known end, and the teacher answers all "
            "rows once before training; take a part of it: datasets.Dataset.from_list(list(rows.take(1000)))"
        )
    if rows and all(isinstance(row, Conversation) for row in rows):
        return list(rows)
    return conversations(rows, name)
