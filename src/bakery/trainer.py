"""`ContextBakingTrainer`: the Hugging Face trainer whose loss is the divergence from the prompted teacher.

`train()` first does what is done once: sample the answers that are missing, try the shortcuts, ask the teacher.
Then transformers' loop runs; every step is one packed forward pass and one fused loss.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer, TrainerControl
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from bakery.arguments import BakeryConfig
from bakery.attention import packed
from bakery.callbacks import FiniteGradients, ShowSteps
from bakery.config import ContextConfig, LoraConfig, ModelConfig
from bakery.data import Conversation, Message, check_something_to_bake, conversations
from bakery.divergence import TokenDivergence, fused_divergence
from bakery.engine import Engine, Voice, find_paths_on
from bakery.errors import DataError, NumericError, ViewError
from bakery.forward import target_states
from bakery.knowledge import load_prefix
from bakery.models import attach_adapter, load_model, load_tokenizer, unwrap
from bakery.packing import Packed, pack, predicting_positions
from bakery.progress import Progress, Verbosity
from bakery.teacher import Teacher
from bakery.views import PromptPair, ViewBuilder, ViewPair


@dataclass(frozen=True)
class Views:
    """Rows as the model will see them: those with an answer, and those whose answer is still to be sampled."""

    pairs: tuple[ViewPair, ...]
    prompts: tuple[PromptPair, ...]


def prompt_baking_collator(rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
    """Lay the student's views of a few rows end to end.

    Returns:
        input_ids, position_ids [1, T]; lengths [B]; predicting [N], the packed positions whose hidden states predict
        the targets; labels [N], the targets; rows [B], each row's number in the teacher's store.

    Raises:
        ValueError: when a row has no target.
    """
    if any(not row["targets"] for row in rows):
        raise ValueError("a row without targets has nothing to learn from")
    batch = pack([row["input_ids"] for row in rows])
    return {
        "input_ids": batch.ids,
        "position_ids": batch.positions,
        "lengths": torch.tensor(batch.lengths),
        "predicting": predicting_positions(batch.lengths, [row["targets"] for row in rows]),
        "labels": torch.tensor([row["input_ids"][target] for row in rows for target in row["targets"]]),
        "rows": torch.tensor([row["row"] for row in rows]),
    }


class ContextBakingTrainer(Trainer):  # type: ignore[misc]
    """Bake `context_config` into the adapter of `model`.

    Args:
        model: a peft model; or a base model, or the name of one, which then gets an adapter.
        args: how to bake.
        context_config: what to bake.
        train_dataset: rows as `bakery.data` reads them: `create_dataset(...)`, a datasets.Dataset, a list of dicts.
        eval_dataset: rows on which the divergence is measured during training.
        processing_class: the tokenizer; loaded along when `model` is a name.
        data_collator: `prompt_baking_collator`, the default.
        anchor_dataset: rows on which the model is to stay as it is (never behind the prefix).
        prefix_messages: the prefix, where it is already read; else `context_config` says where it is.
        lora_config: the adapter to attach when the model has none.
        progress: where stages are shown.
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
        **others: Any,
    ) -> None:
        args = args or BakeryConfig()
        if isinstance(model, str):
            named = ModelConfig(model_name_or_path=model)
            processing_class = processing_class or load_tokenizer(named)
            model = load_model(named)
        if processing_class is None:
            raise DataError("processing_class: the tokenizer is needed to build the views")
        if not hasattr(model, "disable_adapter"):
            model = attach_adapter(model, lora_config or LoraConfig())
        self.context = context_config or ContextConfig()
        self.progress = progress or Progress(Verbosity.QUIET if args.disable_tqdm else Verbosity.NORMAL)
        prefix = load_prefix(self.context) if prefix_messages is None else tuple(prefix_messages)
        self.builder = ViewBuilder(
            processing_class,
            prefix_messages=prefix,
            student_retained_turns=self.context.student_retained_turns,
            target_roles=self.context.target_roles,
            target_content_pattern=self.context.target_content_pattern,
            target_span_pattern=self.context.target_span_pattern,
            system_role=self.context.system_role,
            student_system=self.context.student_system,
            chat_template_kwargs=self.context.chat_template_kwargs,
        )
        rows = _conversations(train_dataset, "train_dataset")
        check_something_to_bake(rows, prefix, self.context.student_retained_turns)
        anchors = [] if anchor_dataset is None else _conversations(anchor_dataset, "anchor_dataset")
        self._rows = [row for row in rows if not row.answered]
        self._views, self._anchors = self.build_views(rows), self.build_views(anchors, anchor=True)
        self._eval_views = (
            None if eval_dataset is None else self.build_views(_conversations(eval_dataset, "eval_dataset"))
        )
        self._eval: tuple[list[ViewPair], Teacher] | None = None
        self._teacher: Teacher | None = None
        self._engine: Engine | None = None
        self.trajectories: list[tuple[Conversation, list[ViewPair]]] = []
        self._meter = _Meter()
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
        self.add_callback(FiniteGradients())
        for theirs in (ProgressCallback, PrinterCallback):
            self.remove_callback(theirs)

    # ---- what is done once ----

    def build_views(self, rows: Sequence[Conversation], *, anchor: bool = False) -> Views:
        """Rows as the model will see them.

        Raises:
            DataError: when a row cannot be aligned.
        """
        pairs = [pair for row in rows if row.answered for pair in self.builder.views(row, anchor=anchor)]
        prompts = [self.builder.prompts(row, anchor=anchor) for row in rows if not row.answered]
        return Views(tuple(pairs), tuple(prompts))

    @property
    def engine(self) -> Engine:
        """The model with the shortcuts it allows, found on its own rows when first asked for."""
        if self._engine is None:
            model = unwrap(self.model)
            rows: list[ViewPair | PromptPair] = [*self._views.pairs, *self._views.prompts]
            with self.accelerator.autocast():
                paths = find_paths_on(model, rows)
            for note in paths.notes:
                self.progress.say(f"  note: {note}")
            self._engine = Engine(
                model=model,
                tokenizer=self.processing_class,
                paths=paths,
                token_budget=self.args.token_budget,
                temperature=self.args.temperature,
                beta=self.args.beta,
                autocast=self.accelerator.autocast,
            )
        return self._engine

    def prepare(self) -> None:
        """Do what comes before the first step: try the shortcuts, sample missing answers, ask the teacher. Once."""
        if self._teacher is not None:
            return
        # Rows and anchors are sampled together: the more at once, the faster.
        sampled = self._sample([*self._views.prompts, *self._anchors.prompts], self.args.seed)
        per_prompt = self.args.num_trajectories
        self.trajectories = [
            (row, sampled[at * per_prompt : (at + 1) * per_prompt]) for at, row in enumerate(self._rows)
        ]
        pairs = self._within_length([*self._views.pairs, *self._anchors.pairs, *sampled])
        self._teacher = self._ask_teacher(pairs)
        self.train_dataset = [
            {"row": row, "input_ids": pair.student_ids, "targets": pair.student_targets}
            for row, pair in enumerate(pairs)
        ]

    def train(self, *arguments: Any, **named: Any) -> Any:
        """As in transformers, after `prepare`. Raises NumericError on a loss or gradient that is not finite."""
        self.prepare()
        with self.progress.stage("training", "training", None, "steps") as stage:
            shown = ShowSteps(stage, self.progress)
            self.add_callback(shown)
            try:
                return super().train(*arguments, **named)
            finally:
                self.remove_callback(shown)

    def _sample(self, prompts: Sequence[PromptPair], seed: int) -> list[ViewPair]:
        """The teacher's answers to these prompts, `num_trajectories` each, as views."""
        if not prompts:
            return []
        total = len(prompts) * self.args.num_trajectories
        with self.progress.stage("sampling", "sampling answers", total, "answers") as advance:
            sampled = self.engine.answers(
                Voice.PROMPTED,
                prompts,
                max_new_tokens=self.args.trajectory_length,
                temperature=self.args.sampling_temperature,
                per_prompt=self.args.num_trajectories,
                seed=seed,
                advance=advance,
            )
        cut = sum(not trajectory.stopped for trajectory in sampled)
        if cut:
            self.progress.say(
                f"  note: {cut} of {total} answers were cut off at trajectory_length {self.args.trajectory_length}; "
                "their end is not trained"
            )
        return [prompts[trajectory.prompt].with_answer(trajectory.ids) for trajectory in sampled]

    def _within_length(self, pairs: list[ViewPair]) -> list[ViewPair]:
        limit = self.args.max_seq_length
        long = [pair for pair in pairs if limit is not None and len(pair.teacher_ids) > limit]
        if not long:
            return pairs
        if self.args.on_long_row == "error":
            raise ViewError(
                f"{long[0].source}: the teacher's view has {len(long[0].teacher_ids)} tokens, "
                f"max_seq_length is {limit}, and {len(long) - 1} more of {len(pairs)} rows are longer; "
                "raise it, or set on_long_row: skip"
            )
        kept = [pair for pair in pairs if len(pair.teacher_ids) <= limit]
        self.progress.say(f"  note: {len(long)} of {len(pairs)} rows skipped: longer than max_seq_length {limit}")
        if not kept:
            raise ViewError(f"every row is longer than max_seq_length {limit}: nothing is left to learn from")
        return kept

    def _ask_teacher(self, pairs: list[ViewPair]) -> Teacher:
        if self.args.teacher == "live" or (self.args.teacher == "auto" and self.engine.paths.states_are_logits):
            return self.engine.live_teacher(pairs)
        total = sum(len(pair.teacher_targets) for pair in pairs)
        with self.progress.stage("teacher", "asking the teacher", total, "tokens") as advance:
            return self.engine.teacher(pairs, advance)

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
        count = torch.tensor(sum(batch["labels"].numel() for batch in batches), device=device)
        return batches, self.accelerator.gather(count).sum()

    def training_step(self, model: nn.Module, inputs: dict[str, Any], *arguments: Any, **named: Any) -> Tensor:
        """One forward and backward pass. Packing holds for both: checkpointed layers run again in the backward pass."""
        with packed(unwrap(model)) if self.engine.paths.packed else nullcontext():
            return cast(Tensor, super().training_step(model, inputs, *arguments, **named))

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The divergence summed over this batch's targets, divided by the targets of the whole step: nats per token."""
        assert self._teacher is not None
        paths = self.engine.paths
        batch = Packed(inputs["input_ids"], inputs["position_ids"], tuple(inputs["lengths"].tolist()))
        with self.accelerator.autocast():
            teacher = self._teacher.states(inputs["rows"].tolist())
            student = target_states(model, batch, inputs["predicting"], paths)
            found = fused_divergence(
                student,
                teacher.to(student.device),
                paths.head,
                temperature=self.args.temperature,
                beta=self.args.beta,
            )
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
            logs = {**logs, **self._meter.read()}
        super().log(logs, *arguments, **named)

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Divergence from the teacher on held-out rows: the mean over their target tokens, nats."""
        self.prepare()
        if eval_dataset is not None and eval_dataset is not self.eval_dataset:
            held = self._with_teacher(self.build_views(_conversations(eval_dataset, "eval_dataset")))
        elif self._eval_views is not None:
            held = self._eval = self._eval or self._with_teacher(self._eval_views)
        else:
            raise DataError("eval_dataset: there are no rows to evaluate on; give some, or set eval_strategy: no")
        found = self.engine.compare(Voice.BAKED, *held)
        metrics = {
            f"{metric_key_prefix}_loss": float(found.divergence.mean()),
            f"{metric_key_prefix}_teacher_entropy": float(found.teacher_entropy.mean()),
            f"{metric_key_prefix}_agreement": float(found.agreement.mean()),
        }
        self.log(metrics)
        control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        self.control: TrainerControl = control
        return metrics

    def _with_teacher(self, views: Views) -> tuple[list[ViewPair], Teacher]:
        pairs = self._within_length([*views.pairs, *self._sample(views.prompts, self.args.seed + 1)])
        return pairs, self._ask_teacher(pairs)


class _Meter:
    """Running means of what the loss sees beside itself, between two log lines."""

    def __init__(self) -> None:
        self._sums = {"teacher_entropy": 0.0, "agreement": 0.0}
        self._count = 0

    def add(self, found: TokenDivergence) -> None:
        self._sums["teacher_entropy"] += float(found.teacher_entropy.sum())
        self._sums["agreement"] += float(found.agreement.sum())
        self._count += found.agreement.numel()

    def read(self) -> dict[str, float]:
        """The means since the last reading."""
        means = {name: total / self._count for name, total in self._sums.items()} if self._count else {}
        self.__init__()  # type: ignore[misc]
        return means


class PromptBakingTrainer(ContextBakingTrainer):
    """Older name of `ContextBakingTrainer`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        warnings.warn(
            "PromptBakingTrainer is the older name of ContextBakingTrainer; use that", DeprecationWarning, stacklevel=2
        )
        super().__init__(*arguments, **named)


def _conversations(rows: Any, name: str) -> list[Conversation]:
    """Rows in any shape `bakery.data` reads; conversations stay as they are.

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
