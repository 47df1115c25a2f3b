"""What a bake does once, before its first step: build the views, sample missing answers, ask the teacher."""

from collections.abc import Sequence
from dataclasses import dataclass

from bakery.chat.views import PromptPair, ViewPair
from bakery.engine.distill.cache import Cache
from bakery.engine.distill.engine import Engine, sampling_prompts
from bakery.engine.distill.samplers.sampler import Sampler, Trajectory
from bakery.engine.distill.teacher import KnownSignals, Teacher, row_key
from bakery.progress import Progress
from bakery.settings.arguments import BakeryConfig
from bakery.training.lengths import all_too_long, limit_of, too_long

_MOST_BYTES = 2**32
"""A signal that would need more is not recorded while sampling: the teacher is asked afterwards, block by block."""
_SHARE_OF_DISK = 0.9
"""The rest of a disk is left to checkpoints and to others."""


@dataclass(frozen=True)
class Preparation:
    """Does these things for one bake.

    Args:
        engine: asks the model.
        args: how many answers, how long, how random, and whether the teacher's signal is stored.
        progress: where stages are shown.
        cache: where answers and the teacher's signal outlive this process.
        sampler: where answers come from; none: from the teacher itself, whose signal is then recorded with them.
    """

    engine: Engine
    args: BakeryConfig
    progress: Progress
    cache: Cache
    sampler: Sampler | None = None

    def sample(self, prompts: Sequence[PromptPair], seed: int) -> tuple[list[ViewPair], KnownSignals]:
        """The teacher's answers to these prompts, `num_trajectories` each, as views, in the prompts' order.

        Beside them the signal at their tokens, where the teacher itself was the sampler and need not be asked again.
        """
        if not prompts:
            return [], {}
        args, total = self.args, len(prompts) * self.args.num_trajectories
        settings = self.engine.sampling_settings(
            max_new_tokens=args.trajectory_length,
            temperature=args.sampling_temperature,
            per_prompt=args.num_trajectories,
            seed=seed,
        )
        record = args.teacher != "live" and self._fits_in_memory(total)
        sampler = self.sampler or self.engine.sampler(self.engine.teacher_condition, record_signal=record)
        drawing = [sorted(settings.stop_ids), settings.max_new_tokens, settings.temperature, settings.per_prompt, seed]
        key = self.cache.key("answers", sampler.identity, drawing, [prompt.teacher_ids for prompt in prompts])
        signal_key = self.cache.key(key, self.engine.objective.signal_name)
        trajectories = self._cached_trajectories(key)
        if trajectories is None:
            asked = sampling_prompts(prompts, self.engine.teacher_condition)
            with self.progress.stage("sampling", "sampling answers", total, "answers") as on_progress:
                trajectories = sampler.sample(asked, settings, on_progress)
            if self.engine.processes.rank == 0:
                self._store(trajectories, key, signal_key)
            self.engine.processes.wait()
        self._report_cut(trajectories)
        pairs = [prompts[trajectory.prompt].with_answer(trajectory.ids) for trajectory in trajectories]
        sizes = [len(trajectory.ids) for trajectory in trajectories]
        signal = None if args.teacher == "live" else self.cache.read_signal(signal_key)
        if signal is None or len(signal) != sum(sizes):
            return pairs, {}
        return pairs, dict(zip(map(row_key, pairs), signal.split(sizes), strict=True))

    def _cached_trajectories(self, key: str) -> list[Trajectory] | None:
        """The answers that a run that was stopped has sampled, if it has."""
        with self.progress.clock("sampling"):
            rows = self.cache.read_answers(key)
        if rows is None:
            return None
        self.progress.say(f"  sampled answers        {len(rows):,} taken over from the run that was stopped")
        trajectories = [Trajectory(prompt, number, tuple(ids), stopped) for prompt, number, ids, stopped in rows]
        self.progress.count("sampling", sum(len(trajectory.ids) for trajectory in trajectories), reused=True)
        return trajectories

    def _store(self, trajectories: Sequence[Trajectory], key: str, signal_key: str) -> None:
        self.cache.write_answers(key, [[t.prompt, t.number, t.ids, t.stopped] for t in trajectories])
        signals = [trajectory.signal for trajectory in trajectories if trajectory.signal is not None]
        if len(signals) == len(trajectories):
            self.cache.write_signal(signal_key, type(signals[0]).concatenate(signals))

    def _report_cut(self, trajectories: Sequence[Trajectory]) -> None:
        cut = sum(not trajectory.stopped for trajectory in trajectories)
        if cut:
            self.progress.say(
                f"  note: {cut} of {len(trajectories)} answers were cut off at trajectory_length "
                f"{self.args.trajectory_length}; their end is not trained"
            )

    def _fits_in_memory(self, answers: int) -> bool:
        """Whether the signal at so many answers may be held in memory until all are sampled."""
        return self.engine.objective.signal_bytes * answers * self.args.trajectory_length <= _MOST_BYTES

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
