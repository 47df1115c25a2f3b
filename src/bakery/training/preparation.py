"""What a bake does once, before its first step: build the views, sample missing answers, ask the teacher."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bakery.chat.views import PromptPair, ViewBuilder, ViewPair
from bakery.engine.distill.cache import Cache
from bakery.engine.distill.engine import Engine, sampling_prompts
from bakery.engine.distill.samplers.sampler import Sampler, SamplingSettings, ThinkingBound, Trajectory
from bakery.engine.distill.teacher import KnownSignals, Teacher, row_key
from bakery.errors import DataError
from bakery.progress import Progress
from bakery.settings.arguments import BakeryConfig
from bakery.training.lengths import all_too_long, limit_of, too_long
from bakery.training.thoughts import Thoughts

_MOST_BYTES = 2**32
"""A signal that would need more is not recorded while sampling: the teacher is asked afterwards, block by block."""
_TELLING = 8
"""Answers that tell whether most are cut in their thoughts."""
_SHARE_OF_DISK = 0.9
"""The rest of a disk is left to checkpoints and to others."""


@dataclass(frozen=True)
class SampledAnswer:
    """An answer to a prompt; `pair` is None where nothing in it is learned, as it was cut in its thoughts."""

    prompt: PromptPair
    trajectory: Trajectory
    pair: ViewPair | None


def learned_pairs(answers: Sequence[SampledAnswer]) -> list[ViewPair]:
    """The views of all that something is learned from."""
    return [answer.pair for answer in answers if answer.pair is not None]


@dataclass(frozen=True)
class Preparation:
    """Does these things for one bake.

    Args:
        engine: asks the model.
        args: how many answers, how long, how random, and whether the teacher's signal is stored.
        progress: where stages are shown.
        cache: where answers and the teacher's signal outlive this process.
        builder: knows how the template has thoughts, and whether they are learned.
        sampler: where answers come from; none: from the teacher itself, whose signal is then recorded with them.
    """

    engine: Engine
    args: BakeryConfig
    progress: Progress
    cache: Cache
    builder: ViewBuilder
    sampler: Sampler | None = None
    _said: set[str] = field(default_factory=set, repr=False)

    def sample(self, prompts: Sequence[PromptPair], seed: int) -> tuple[list[SampledAnswer], KnownSignals]:
        """The teacher's answers to these prompts, `num_trajectories` each, in the prompts' order.

        Beside them the signal at their targets, where the teacher itself was the sampler and need not be asked again.

        Raises:
            DataError: all answers were cut in their thoughts, which are not to be learned.
        """
        if not prompts:
            return [], {}
        settings, total = self._settings(seed), len(prompts) * self.args.num_trajectories
        finished: list[Trajectory] = []

        def on_batch(batch: Sequence[Trajectory]) -> None:
            finished.extend(batch)
            if len(finished) >= min(_TELLING, total):
                self._warn_of_thoughts(finished, settings)

        record = self.args.teacher != "live" and self._fits_in_memory(total * settings.longest)
        sampler = self.sampler or self.engine.sampler(
            self.engine.teacher_condition, record_signal=record, on_batch=on_batch
        )
        drawing = [sorted(settings.stop_ids), settings.max_new_tokens, settings.temperature, settings.per_prompt, seed]
        if (bound := settings.thinking) is not None:
            drawing += [bound.length, bound.tokens.openings, bound.tokens.endings, bound.tokens.closing]
        key = self.cache.key("answers", sampler.identity, drawing, [prompt.teacher_ids for prompt in prompts])
        signal_key = self.cache.key(key, self.engine.objective.signal_name)
        trajectories = self._cached_trajectories(key, signal_key if record and self.sampler is None else None)
        if trajectories is None:
            asked = sampling_prompts(prompts, self.engine.teacher_condition)
            with self.progress.stage("sampling", "sampling answers", total, "answers") as on_progress:
                trajectories = sampler.sample(asked, settings, on_progress)
            if self.engine.processes.rank == 0:
                self._store(trajectories, key, signal_key)
            self.engine.processes.wait()
        self._warn_of_thoughts(trajectories, settings)
        answers = [self._answer(prompts[trajectory.prompt], trajectory) for trajectory in trajectories]
        self._report_cut(answers)
        return answers, {} if self.args.teacher == "live" else self._known(answers, signal_key)

    def _settings(self, seed: int) -> SamplingSettings:
        args, tokens = self.args, self.builder.thinking
        if args.thinking_length is not None and tokens is None:
            line = "  note: thinking_length has no effect: the chat template asks for answers without thoughts"
            self._say_once("no thoughts", line)
        return self.engine.sampling_settings(
            max_new_tokens=args.trajectory_length,
            temperature=args.sampling_temperature,
            per_prompt=args.num_trajectories,
            seed=seed,
            thinking=ThinkingBound.of(args.thinking_length, tokens),
        )

    def _say_once(self, about: str, line: str) -> None:
        if about not in self._said:
            self._said.add(about)
            self.progress.say(line)

    def _warn_of_thoughts(self, trajectories: Sequence[Trajectory], settings: SamplingSettings) -> None:
        tokens = self.builder.thinking
        if tokens is None or settings.thinking is not None:
            return
        thoughts = Thoughts(tokens, settings.max_new_tokens, self.builder.thinking_switch)
        if warning := thoughts.warning(trajectories):
            self._say_once("cut in thoughts", f"  warning: {warning}")

    def _answer(self, prompt: PromptPair, trajectory: Trajectory) -> SampledAnswer:
        targets = self.builder.learned_of(trajectory.ids, trajectory.forced)
        return SampledAnswer(prompt, trajectory, prompt.with_answer(trajectory.ids, targets) if targets else None)

    def _known(self, answers: Sequence[SampledAnswer], signal_key: str) -> KnownSignals:
        """The stored signal at the targets, which are the last of the tokens that were drawn."""
        signal, sizes = self.cache.read_signal(signal_key), [len(answer.trajectory.drawn) for answer in answers]
        if signal is None or len(signal) != sum(sizes):
            return {}
        parts = zip(answers, signal.split(sizes), strict=True)
        return {row_key(one.pair): part[len(part) - len(one.pair.teacher_targets) :] for one, part in parts if one.pair}

    def _cached_trajectories(self, key: str, signal_key: str | None) -> list[Trajectory] | None:
        """The answers that a run that was stopped has sampled, if they are there with the signal recorded with them.

        Without that signal they are sampled again: another pass of the teacher would round its last bits differently.
        """
        with self.progress.clock("sampling"):
            rows = self.cache.read_answers(key)
            lost = rows is None or (signal_key is not None and self.cache.read_signal(signal_key) is None)
        if rows is None or lost:
            return None
        self.progress.say(f"  sampled answers        {len(rows):,} taken over from the run that was stopped")
        trajectories = [
            Trajectory(prompt, number, tuple(ids), stopped, forced=range(*forced) if forced else range(0))
            for prompt, number, ids, stopped, *forced in rows
        ]
        self.progress.count("sampling", sum(len(trajectory.ids) for trajectory in trajectories), reused=True)
        return trajectories

    def _store(self, trajectories: Sequence[Trajectory], key: str, signal_key: str) -> None:
        rows = [
            [t.prompt, t.number, t.ids, t.stopped, *([t.forced.start, t.forced.stop] if t.forced else [])]
            for t in trajectories
        ]
        signals = [trajectory.signal for trajectory in trajectories if trajectory.signal is not None]
        if len(signals) == len(trajectories):
            self.cache.write_signal(signal_key, type(signals[0]).concatenate(signals))
        self.cache.write_answers(key, rows)  # last: where the answers lie, the stage is finished

    def _report_cut(self, answers: Sequence[SampledAnswer]) -> None:
        cut = sum(not answer.trajectory.stopped for answer in answers)
        if cut:
            self.progress.say(
                f"  note: {cut} of {len(answers)} answers were cut off at trajectory_length "
                f"{self.args.trajectory_length}; their end is not trained"
            )
        left_out = len(answers) - len(learned_pairs(answers))
        if not left_out:
            return
        why = f"{left_out} of {len(answers)} sampled answers did not get out of their thoughts, which are not learned"
        remedy = "set thinking_length, or a longer trajectory_length, or target_thinking: true"
        if left_out == len(answers):
            raise DataError(f"target_thinking: {why}, so nothing is left to learn; {remedy}")
        self.progress.say(f"  note: {why} (target_thinking: false): they are left out; to have them, {remedy}")

    def _fits_in_memory(self, tokens: int) -> bool:
        """Whether the signal at so many tokens may be held in memory until all are sampled."""
        return self.engine.objective.signal_bytes * tokens <= _MOST_BYTES

    def _fits_on_disk(self, targets: int) -> bool:
        """Whether the teacher's signal at so many targets can be stored; if not, it is said."""
        if self.engine.shortcuts.states_are_logits:
            return False
        needed = self.engine.objective.signal_bytes * targets
        free = min(self.engine.processes.gather([self.cache.free_bytes()]))
        if needed > _SHARE_OF_DISK * free:
            self.progress.say(
                f"  note: {self.cache.folder} has room for {free / 2**30:,.1f} GiB and the teacher's signal would take "
                f"{needed / 2**30:,.1f}: the teacher is asked at every step (teacher: live)"
            )
        return needed <= _SHARE_OF_DISK * free

    def within_length(self, pairs: list[ViewPair]) -> list[ViewPair]:
        """The rows that `max_seq_length` and the model's context allow.

        Raises:
            ViewError: a row is longer than `max_seq_length` and none may be skipped, or all are too long.
        """
        limit = limit_of(self.engine.model, self.args)
        long = [pair for pair in pairs if limit is not None and len(pair.teacher_ids) > limit.tokens]
        if limit is None or not long:
            return pairs
        if self.args.on_long_row == "error" and not limit.by_model:
            raise too_long(long, len(pairs), limit)
        self.progress.say(f"  note: {len(long)} of {len(pairs)} rows skipped: too long ({limit})")
        if len(long) == len(pairs):
            raise all_too_long(limit)
        return [pair for pair in pairs if len(pair.teacher_ids) <= limit.tokens]

    def ask_teacher(self, pairs: list[ViewPair], known: KnownSignals) -> Teacher:
        """The teacher, who has read all rows; or who reads them again at every step where `teacher` says so."""
        total = sum(len(pair.teacher_targets) for pair in pairs if row_key(pair) not in known)
        if self.args.teacher == "live" or (self.args.teacher == "auto" and not self._fits_on_disk(total)):
            return self.engine.live_teacher()
        if not total:
            return self.engine.teacher(pairs, known=known)
        with self.progress.stage("teacher", "asking the teacher", total, "tokens") as on_progress:
            return self.engine.teacher(pairs, on_progress, self.cache, known)
