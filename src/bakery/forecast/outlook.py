"""A forecast for one bake: measured once, counted anew whenever more of its rows and their lengths is known."""

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle

import torch

from bakery.chat.pre_query import pre_query
from bakery.chat.views import PromptPair, ViewBuilder
from bakery.engine.distill.engine import SAMPLING_BUDGETS, Engine
from bakery.engine.distill.samplers.sampler import SamplingPrompt, SamplingSettings, ThinkingBound
from bakery.engine.model.adapters import is_adapter_weight
from bakery.engine.model.structure import base_of, device_of, stop_ids
from bakery.engine.session import Session
from bakery.errors import TemplateError, ViewError
from bakery.evaluation.budget import SHARE
from bakery.evaluation.proof_rows import neutral, proof_rows
from bakery.evaluation.proving import GAP_ROWS, GAP_TOKENS
from bakery.forecast.counting import (
    ProofSizes,
    Rules,
    TrainingRows,
    gap_stage,
    measurements_within,
    proof_stage,
    sampling_stage,
    teacher_stage,
    training_stage,
)
from bakery.forecast.figures import Forecast, Range, Stage, parts_of, steps_of
from bakery.forecast.memory import Batches, Shape, memory_of
from bakery.forecast.trial import Stopwatch, Trial, alone
from bakery.forecast.writing import MOST_TOKENS, expected_rows, writing_stage
from bakery.rows.bake_data import BakeData
from bakery.rows.conversations import Conversation, evenly, unanswered
from bakery.scoring.rules import parse_rules
from bakery.settings.arguments import BakeryConfig
from bakery.settings.build import BakeSettings
from bakery.training.stopping import COOL_DOWN, FIRST_MEASUREMENT, GROWTH, LEAST_EPOCHS
from bakery.writing.completion import planned_writing, reserved_rows
from bakery.writing.plan import WritingPlan
from bakery.writing.topics import Topic, topics_of
from bakery.writing.written import with_written

PROBED = 8
"""Rows that are measured on."""
OPEN_EPOCHS = (LEAST_EPOCHS * (1 + COOL_DOWN), 2 * LEAST_EPOCHS * (1 + COOL_DOWN))
"""Passes over the rows of most bakes that run until they are done: from the fewest possible to twice as many."""
_MESSAGE_TEMPERATURE = 1.0


@dataclass(frozen=True)
class Outlook:
    """What a bake will take.

    Args:
        settings: of the bake.
        session: the model.
        engine: asks it, in this process alone.
        trial: what was measured.
        message: tokens of a message that the model writes, in the mean.
        stored: whether the teacher's signal will be stored.
    """

    settings: BakeSettings
    session: Session
    engine: Engine
    trial: Trial
    message: float

    @classmethod
    def measured(
        cls,
        settings: BakeSettings,
        session: Session,
        data: BakeData,
        *,
        now: Callable[[], float] = time.perf_counter,
    ) -> "Outlook":
        """Measure on a few rows of these, or on shipped questions behind the prefix where there are none.

        Raises:
            BakeryError: a row cannot be aligned.
        """
        started = now()
        prompts = probes(session.builder, data)
        view_seconds = (now() - started) / len(prompts)
        engine = alone(replace(session, progress=None).engine(prompts))
        bound = ThinkingBound.of(settings.bakery.thinking_length, session.builder.thinking)
        stopwatch = Stopwatch(engine, settings.bakery, now, bound)
        trial = stopwatch.measure(prompts, view_seconds)
        message = trial.answer
        if planned_writing(data, settings).total:
            message = _message_tokens(stopwatch, session, trial.answer)
        return cls(settings, session, engine, trial, message)

    def forecast(
        self,
        data: BakeData,
        *,
        done: Sequence[str] = (),
        answer: float | None = None,
        slower: float = 1.0,
        elapsed: float = 0.0,
    ) -> Forecast:
        """What the bake will take with these rows.

        Args:
            data: what is given, or all rows where "writing" is done.
            done: names of parts that are left out.
            answer: tokens of an answer in the mean, where that is known.
            slower: how many times as long as was measured it takes to ask the model.
            elapsed: seconds since the beginning.

        Raises:
            BakeryError: a row cannot be aligned.
        """
        args, builder = self.settings.bakery, self.session.builder
        rules, writing = self._rules(answer or self.trial.answer), Stage("writing")
        plan = WritingPlan() if "writing" in done else planned_writing(data, self.settings)
        if plan.total:
            prefix, room = _prefix_tokens(builder, topics_of(data)[0]), SAMPLING_BUDGETS * rules.budget
            writing = writing_stage(plan, self.message, prefix, room)
            data = with_written(data, expected_rows(plan, topics_of(data), self.message))
        done = (*done, *_not_measured(args))
        if "writing" not in done:
            data = reserved_rows(data, self.settings)
        rows = TrainingRows.of(builder, data, rules)
        proof = ProofSizes.of(builder, proof_rows(data, parse_rules(self.settings.data.rules)), rules)
        steps = steps_expected(args, rows.pairs(rules))
        asked = [writing, gap_stage(proof, rules), sampling_stage(rows, rules), teacher_stage(rows, rules)]
        least, most = (
            [
                stage
                for stage in (
                    *asked,
                    training_stage(rows, rules, count, _measurements(args, count)),
                    proof_stage(proof, rules),
                )
                if stage.name not in done
            ]
            for count in (steps.low, steps.high)
        )
        rates = self.trial.rates.slower(slower).among(args.world_size)
        limit = math.inf if args.max_minutes is None else args.max_minutes * 60 - elapsed
        share = SHARE if args.proof == "auto" else math.inf
        return Forecast(
            parts=parts_of(least, most, rates, limit_seconds=limit, proof_share=share),
            memory=memory_of(self._shape(), self._batches(rows, proof, rules), *available(self.engine)),
            rates=rates,
            steps=steps,
            limit_minutes=args.max_minutes,
        )

    def _rules(self, answer: float) -> Rules:
        args, builder = self.settings.bakery, self.session.builder
        shortcuts = self.engine.shortcuts
        bound = ThinkingBound.of(args.thinking_length, builder.thinking)
        thoughts = bound.longest if bound else 0
        proof_longest = thoughts + (args.eval_max_new_tokens or args.trajectory_length)
        return Rules(
            trajectories=args.num_trajectories,
            longest=thoughts + args.trajectory_length,
            proof_longest=proof_longest,
            gap_longest=GAP_TOKENS if builder.target_thinking else proof_longest,
            answer=answer,
            budget=self.engine.token_budget,
            batch=per_step(args),
            live=args.teacher == "live" or shortcuts.states_are_logits,
            shares=shortcuts.prefix,
            merged=args.weights == "merged",
        )

    def _shape(self) -> Shape:
        model = base_of(self.engine.model)
        config = model.config.get_text_config()
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        named = list(model.named_parameters())
        adapter = [weight for name, weight in named if is_adapter_weight(name) and weight.requires_grad]
        number = next(weight for name, weight in named if weight.is_floating_point()).element_size()
        return Shape(
            weight_bytes=sum(weight.nbytes for name, weight in named if not is_adapter_weight(name)),
            adapter_weights=sum(weight.numel() for weight in adapter),
            adapter_bytes=sum(weight.nbytes for weight in adapter),
            hidden=config.hidden_size,
            inner=getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
            layers=config.num_hidden_layers,
            vocabulary=config.vocab_size,
            key_value_bytes=2 * config.num_hidden_layers * heads * width * number,
            number_bytes=number,
            saved_bytes=self.trial.saved_bytes,
            signal_bytes=self.engine.objective.signal_bytes,
            on_cpu=device_of(model).type == "cpu",
        )

    def _batches(self, rows: TrainingRows, proof: ProofSizes, rules: Rules) -> Batches:
        args, most = self.settings.bakery, SAMPLING_BUDGETS * rules.budget
        own = [one for one in (rows.train, rows.anchors) if one.unanswered]
        proved = proof.asked.values() if args.is_proved else []
        asked = [(one, one.rows, rules.proof_longest) for one in proved]
        asked.append((proof.measured, min(GAP_ROWS, proof.measured.rows), min(rules.gap_longest, rules.proof_longest)))
        batches = [
            (sum(one.unanswered for one in own) * rules.trajectories, max((one.teacher for one in own), default=0)
             + rules.longest, rules.longest),
            *((count, max(one.teacher, one.student) + new, new) for one, count, new in asked),
        ]  # fmt: skip
        sampled = [(min(count, max(1, most // length)), length, new) for count, length, new in batches if count]
        count, length, new = max(sampled, key=lambda batch: batch[0] * batch[1])
        shared = max(one.shared for one in [rows.train, proof.measured])
        pass_tokens = min(
            rules.budget, args.per_device_train_batch_size * rows.tokens(rules) / max(1, rows.pairs(rules))
        )
        return Batches(
            prefix=shared,
            sampled_rows=count,
            sampled_tokens=count * length,
            sampled_longest=new,
            trained_tokens=pass_tokens,
            targets=rows.targets(rules),
            checkpointed=bool(args.gradient_checkpointing),
            stored=not rules.live,
        )


def _not_measured(args: BakeryConfig) -> tuple[str, ...]:
    """The parts of a bake without a proof that are left out."""
    parts = {"proof": args.is_proved, "gap": args.measures_gap}
    return tuple(name for name, measured in parts.items() if not measured)


def probes(builder: ViewBuilder, data: BakeData) -> list[PromptPair]:
    """A few rows without their answers: given ones, or shipped questions behind the prefix."""
    rows = [unanswered(row) for row in evenly(data.train, PROBED)]
    if not rows:
        topics = cycle(topics_of(data))
        rows = [_question(text, topic) for text, topic in zip(neutral()[1][:PROBED], topics, strict=False)]
    return [builder.prompts(row) for row in rows]


def _question(text: str, topic: Topic) -> Conversation:
    return Conversation(({"role": "user", "content": text},), topic.prefix if topic.own else None, "a question")


def _prefix_tokens(builder: ViewBuilder, topic: Topic) -> int:
    """Tokens that only the teacher sees."""
    prompt = builder.prompts(_question("Hello.", topic))
    return len(prompt.teacher_ids) - len(prompt.student_ids)


def _message_tokens(stopwatch: Stopwatch, session: Session, answer: float) -> float:
    """Tokens of a message that the model writes behind the header of a user's turn."""
    ends = stop_ids(session.model, session.tokenizer)
    try:
        head = pre_query(session.builder, (), end_ids=ends)
    except (TemplateError, ViewError):
        return answer  # it will be asked for messages in plain words
    settings = SamplingSettings(head.stop_ids, MOST_TOKENS, _MESSAGE_TEMPERATURE, 1, stopwatch.args.seed)
    return stopwatch.answers([SamplingPrompt(head.ids)] * PROBED, settings)[1]


def per_step(args: BakeryConfig) -> int:
    """Rows of one optimiser step, those of all processes together."""
    return int(args.train_batch_size * args.gradient_accumulation_steps * args.world_size)


def steps_expected(args: BakeryConfig, rows: int) -> Range:
    """Optimiser steps: one figure where it is known, else a usual range."""
    if args.open_ended:
        return Range(*(steps_of(rows, per_step(args), epochs, -1) for epochs in OPEN_EPOCHS))
    steps = steps_of(rows, per_step(args), args.num_train_epochs or 3.0, args.max_steps)
    return Range(steps, steps)


def _measurements(args: BakeryConfig, steps: float) -> float:
    """How often validation rows are measured."""
    if args.open_ended:
        return measurements_within(steps, FIRST_MEASUREMENT, GROWTH)
    strategy = str(getattr(args.eval_strategy, "value", args.eval_strategy))
    if strategy == "epoch":
        return math.ceil(args.num_train_epochs or 3.0)
    if strategy == "steps":
        every = args.eval_steps or args.logging_steps
        return steps / every if every >= 1 else 1 / every
    return 20 if args.stops_early else 0


def available(engine: Engine) -> tuple[int | None, str]:
    """Bytes of memory where the model is, and what has them."""
    device = device_of(engine.model)
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory), "device"
    if device.type == "cpu" and hasattr(os, "sysconf"):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), "machine"
    return None, "device"
