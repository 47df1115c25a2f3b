"""The model's speed on this machine, measured on a few rows of the bake in a second or so; nothing is changed by it.

Sampling is timed at two sizes of a batch: a pass costs something by itself, and something more for every row in it.
Reading and training are timed on as many tokens as one pass of the bake holds, or as fit into the time.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

import torch
from torch import Tensor, nn

from bakery.chat.views import PromptPair, ViewPair
from bakery.engine.attention.packed import packed
from bakery.engine.attention.packing import Packed
from bakery.engine.distill.batches import prompt_baking_collator
from bakery.engine.distill.conditions import Condition
from bakery.engine.distill.engine import Engine, sampling_prompts
from bakery.engine.distill.forward import target_states
from bakery.engine.distill.prefix import group_by_prefix
from bakery.engine.distill.samplers.sampler import SamplingPrompt, SamplingSettings, ThinkingBound
from bakery.engine.model.adapters import acting
from bakery.engine.model.fused_lora import fusable_layers, fused_lora
from bakery.engine.model.process_group import SINGLE_PROCESS
from bakery.engine.model.structure import device_of
from bakery.forecast.figures import Pace, Rates
from bakery.settings.arguments import BakeryConfig

_FEW, _MANY = 4, 64
"""Rows of a small and of a large batch."""
_PASSES = 5
_MOST_SECONDS = 0.25
"""For each thing that is measured, unless once takes longer."""
_ANSWERED = 8
"""Prompts that are answered to see how long answers are."""


@dataclass(frozen=True)
class Trial:
    """What was measured.

    Args:
        rates: seconds of every kind of work.
        answer: tokens of an answer in the mean.
        saved_bytes: of one token, for the backward pass.
    """

    rates: Rates
    answer: float
    saved_bytes: float


@dataclass(frozen=True)
class Stopwatch:
    """Measures on one engine.

    Args:
        engine: asks the model.
        args: how answers are sampled, and how large a step is.
        now: the clock, in seconds.
        thinking: how long thoughts before answers may be.
    """

    engine: Engine
    args: BakeryConfig
    now: Callable[[], float]
    thinking: ThinkingBound | None = None

    def measure(self, prompts: Sequence[PromptPair], view_seconds: float) -> Trial:
        """Everything, on the prompts of a few rows; `view_seconds`: what it took to build one of them."""
        teacher, student = self.engine.teacher_condition, self.engine.student_condition
        settings = self.engine.sampling_settings(
            max_new_tokens=self.args.trajectory_length,
            temperature=self.args.sampling_temperature,
            seed=self.args.seed,
            thinking=self.thinking,
        )
        answers, mean = self.answers(sampling_prompts(prompts[:_ANSWERED], teacher), settings)
        stop = min(self.engine.sampling_settings(max_new_tokens=1).stop_ids, default=0)
        pairs = [prompt.with_answer(tuple(answer) or (stop,)) for prompt, answer in zip(prompts, answers, strict=False)]
        target_seconds = self.target_seconds(pairs)
        paces = []
        for condition in (teacher, student):
            with self._asked(condition):
                one_pass, token = self.sampling(sampling_prompts(prompts, condition), condition)
                read = self.reading(pairs, condition)
            paces.append(Pace(view_seconds, token, one_pass, read, target_seconds))
        trained, update, saved = self.training(pairs)
        return Trial(Rates(paces[0], replace(paces[1], trained=trained, updates=update)), mean, saved)

    def answers(self, prompts: Sequence[SamplingPrompt], settings: SamplingSettings) -> tuple[list[list[int]], float]:
        """Answers to these prompts as far as they get in the time, and the mean length they would have had.

        Where time ends first, those that have ended tell how often an answer ends: at one token in `mean`.
        """
        answers: list[list[int]] = [[] for _ in prompts]
        ended, started = 0, self.now()
        condition = self.engine.teacher_condition
        with self._asked(condition):
            for token in self.engine.sampler(condition).stream(prompts, settings):
                answers[token.prompt].append(token.id)
                ended += token.last
                if self.now() - started > 4 * _MOST_SECONDS:
                    break
        written = sum(map(len, answers))
        return answers, min(settings.longest, written / ended if ended else settings.longest)

    def sampling(self, prompts: Sequence[SamplingPrompt], condition: Condition) -> tuple[float, float]:
        """Seconds of a pass that samples one token of every row, and what each row adds to it."""
        self._pass(prompts, condition, _MANY)  # the first time is slower
        few, many = self._pass(prompts, condition, _FEW), self._pass(prompts, condition, _MANY)
        token = max(0.0, (many - few) / (_MANY - _FEW))
        return max(0.0, few - _FEW * token), token

    def _pass(self, prompts: Sequence[SamplingPrompt], condition: Condition, rows: int) -> float:
        settings = SamplingSettings(frozenset(), _PASSES + 1, self.args.sampling_temperature, rows, self.args.seed)
        ends: list[float] = []
        for done, _ in enumerate(self.engine.sampler(condition).stream(prompts[:1], settings), 1):
            if done % rows == 0:
                ends.append(self.now())
                if len(ends) > 2 and ends[-1] - ends[0] > _MOST_SECONDS:
                    break
        return median(after - before for before, after in pairwise(ends))

    def reading(self, pairs: Sequence[ViewPair], condition: Condition) -> float:
        """Seconds of one token that is read without gradient."""
        self.engine.states(condition, pairs)  # the prefix is computed once, and the first time is slower
        seconds, tokens = self._read(pairs, condition)
        more = int(min(self.engine.token_budget / tokens, _MOST_SECONDS / max(seconds, 1e-9)))
        if more > 1:
            seconds, tokens = self._read(list(pairs) * more, condition)
        return seconds / tokens

    def _read(self, pairs: Sequence[ViewPair], condition: Condition) -> tuple[float, int]:
        """Seconds of reading these rows, and the tokens that are computed."""
        seconds = self._timed(lambda: self.engine.states(condition, pairs))
        return seconds, max(1, self._own_tokens(pairs, condition))

    def _own_tokens(self, pairs: Sequence[ViewPair], condition: Condition) -> int:
        """Tokens that are computed: all but those that rows share."""
        views = [pair.teacher_ids if condition.prompted else pair.student_ids for pair in pairs]
        if not self.engine.shortcuts.prefix:
            return sum(map(len, views))
        keys = [pair.prefix_key if condition.prompted else "student" for pair in pairs]
        limits = [(pair.teacher_targets if condition.prompted else pair.student_targets)[0] - 1 for pair in pairs]
        groups = group_by_prefix(views, keys, limits)
        return sum(map(len, views)) - sum(len(group.ids) * len(group.rows) for group in groups)

    def target_seconds(self, pairs: Sequence[ViewPair]) -> float:
        """Seconds to look at the model's distribution at one target."""
        states = self.engine.states(self.engine.teacher_condition, pairs)
        states = states.repeat(-(-256 // len(states)), 1)[:256]
        with self.engine.autocast():
            self.engine.objective.signal(states[:1])
            return self._timed(lambda: self.engine.objective.signal(states)) / len(states)

    def training(self, pairs: Sequence[ViewPair]) -> tuple[float, float, float]:
        """Seconds of a trained token, seconds of an optimiser step, and bytes that a token keeps for its backward pass.

        The adapter is left as it was.
        """
        batch, budget = self.args.per_device_train_batch_size, self.engine.token_budget
        length = sum(len(pair.student_ids) for pair in pairs) / len(pairs)
        count = max(1, min(batch, int(budget / length)))
        rows = [pairs[at % len(pairs)] for at in range(count)]
        trained = [parameter for parameter in self.engine.model.parameters() if parameter.requires_grad]
        counter = SavedBytes(self.engine.model)
        with torch.random.fork_rng(), torch.enable_grad():
            warm_up = self._step(rows[:2])
            self._timed(warm_up)
            if self._timed(warm_up) * count / 2 > 8 * _MOST_SECONDS:
                rows = rows[:2]
            step = self._step(rows)
            with torch.autograd.graph.saved_tensors_hooks(counter.save, lambda saved: saved):
                seconds = self._timed(step)
        for parameter in trained:
            parameter.grad = None
        tokens = sum(len(pair.student_ids) for pair in rows)
        return seconds / tokens, self._update(trained), counter.total / tokens

    def _update(self, parameters: Sequence[nn.Parameter]) -> float:
        """Seconds of an optimiser step on copies of these parameters."""
        copies = [nn.Parameter(parameter.detach().clone()) for parameter in parameters]
        for copy in copies:
            copy.grad = torch.zeros_like(copy)
        optimiser = torch.optim.AdamW(copies)
        optimiser.step()
        return self._timed(optimiser.step)

    def _step(self, pairs: Sequence[ViewPair]) -> Callable[[], None]:
        """Forward and backward over these rows, as the trainer does it."""
        engine = self.engine
        rows = [
            {"row": at, "input_ids": pair.student_ids, "targets": pair.student_targets} for at, pair in enumerate(pairs)
        ]
        batch = prompt_baking_collator(rows)
        inputs = Packed(batch["input_ids"], batch["position_ids"], tuple(batch["lengths"].tolist()))
        with engine.autocast():
            signal = engine.objective.signal(engine.states(engine.teacher_condition, pairs))
        layers = fusable_layers(engine.model)

        def step() -> None:
            attention = packed(engine.model) if engine.shortcuts.packed else nullcontext()
            with attention, fused_lora(layers):
                with engine.autocast():
                    states = target_states(engine.model, inputs, batch["predicting"], engine.shortcuts)
                    measured = engine.objective.divergence(states, signal.to(states.device))
                measured.divergence.mean().backward()  # type: ignore[no-untyped-call]

        return step

    @contextmanager
    def _asked(self, condition: Condition) -> Iterator[None]:
        """The model as it answers under a condition, so that what is asked inside need not make it so every time."""
        with ExitStack() as stack:
            stack.enter_context(acting(self.engine.model, condition.adapters))
            stack.enter_context(packed(self.engine.model) if self.engine.shortcuts.prefix else nullcontext())
            yield

    def _timed(self, work: Callable[[], object]) -> float:
        started = self.now()
        work()
        if (device := device_of(self.engine.model)).type != "cpu":
            torch.accelerator.synchronize(device)
        return self.now() - started


class SavedBytes:
    """Counts what a pass keeps for its backward pass, every piece of memory once, the model's own weights not."""

    def __init__(self, model: nn.Module) -> None:
        self.total = 0
        self._seen = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}

    def save(self, tensor: Tensor) -> Tensor:
        """A hook for saved tensors."""
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._seen:
            self._seen.add(storage.data_ptr())
            self.total += storage.nbytes()
        return tensor


def alone(engine: Engine) -> Engine:
    """The same engine without other processes: each of them may measure by itself."""
    return replace(engine, processes=SINGLE_PROCESS)
