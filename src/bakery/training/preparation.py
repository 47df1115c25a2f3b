"""What a bake does once, before its first step: build the views, sample missing answers, ask the teacher."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from bakery.chat.views import PromptPair, ViewBuilder, ViewPair
from bakery.engine.distill.cache import Store
from bakery.engine.distill.conditions import PROMPTED
from bakery.engine.distill.engine import Engine
from bakery.engine.distill.samplers.local import Trajectory
from bakery.engine.distill.teacher import Known, Teacher, row_key
from bakery.engine.model.lm_head import LMHead
from bakery.engine.model.loading import stop_ids
from bakery.errors import ViewError
from bakery.progress import Progress
from bakery.rows.conversations import Conversation
from bakery.settings.arguments import BakeryConfig

_MOST_BYTES = 2**32
"""A signal that would need more is not kept while sampling: the teacher is asked afterwards, a block at a time."""
_SHARE_OF_DISK = 0.9
"""The rest of a disk is left to checkpoints and to others."""


@dataclass(frozen=True)
class Views:
    """Rows as the model will see them: those with an answer, and those whose answer is still to be sampled."""

    pairs: tuple[ViewPair, ...]
    prompts: tuple[PromptPair, ...]


def view_rows(builder: ViewBuilder, rows: Sequence[Conversation], *, anchor: bool = False) -> Views:
    """Rows as the model will see them.

    Raises:
        DataError: when a row cannot be aligned.
    """
    pairs = [pair for row in rows if row.answered for pair in builder.views(row, anchor=anchor)]
    prompts = [builder.prompts(row, anchor=anchor) for row in rows if not row.answered]
    return Views(tuple(pairs), tuple(prompts))


@dataclass(frozen=True)
class Preparation:
    """Does these things for one bake.

    Args:
        engine: asks the model.
        args: how many answers, how long, how random, and whether the teacher is kept.
        progress: where stages are shown.
        store: where answers and the teacher's states outlive this process.
    """

    engine: Engine
    args: BakeryConfig
    progress: Progress
    store: Store

    def sample(self, prompts: Sequence[PromptPair], seed: int) -> tuple[list[ViewPair], Known]:
        """The teacher's answers to these prompts, `num_trajectories` each, as views, in the prompts' order.

        Beside them the signal at their tokens: who wrote them is the teacher, and need not be asked again.
        """
        if not prompts:
            return [], {}
        args, total = self.args, len(prompts) * self.args.num_trajectories
        ends = sorted(stop_ids(self.engine.model, self.engine.tokenizer))
        drawing = [args.trajectory_length, args.sampling_temperature, args.num_trajectories, seed]
        key = self.store.key("answers", ends, drawing, [prompt.teacher_ids for prompt in prompts])
        signal_key = self.store.key(key, self.engine.measure.kind)
        with self.progress.clock("sampling"):
            kept = self.store.read_answers(key)
        if kept is not None:
            self.progress.say(f"  sampled answers        {total:,} taken over from the run that was stopped")
            sampled = [Trajectory(prompt, number, tuple(ids), stopped) for prompt, number, ids, stopped in kept]
            self.progress.count("sampling", sum(len(trajectory.ids) for trajectory in sampled), found=True)
        else:
            with self.progress.stage("sampling", "sampling answers", total, "answers") as on_progress:
                sampled = self.engine.answers(
                    PROMPTED,
                    prompts,
                    max_new_tokens=args.trajectory_length,
                    temperature=args.sampling_temperature,
                    per_prompt=args.num_trajectories,
                    seed=seed,
                    on_progress=on_progress,
                    keep_signal=self.args.teacher != "live" and self._fits(total),
                )
            if self.engine.processes.rank == 0:
                self.store.write_answers(key, [[t.prompt, t.number, t.ids, t.stopped] for t in sampled])
                if all(trajectory.kept is not None for trajectory in sampled):
                    self.store.write_signal(signal_key, torch.cat([cast(Tensor, t.kept) for t in sampled]))
            self.engine.processes.wait()
        cut = sum(not trajectory.stopped for trajectory in sampled)
        if cut:
            self.progress.say(
                f"  note: {cut} of {total} answers were cut off at trajectory_length {args.trajectory_length}; "
                "their end is not trained"
            )
        pairs = [prompts[trajectory.prompt].with_answer(trajectory.ids) for trajectory in sampled]
        sizes = [len(trajectory.ids) for trajectory in sampled]
        signal = None if self.args.teacher == "live" else self.store.read_signal(signal_key)
        if signal is None or len(signal) != sum(sizes):
            return pairs, {}
        return pairs, dict(zip(map(row_key, pairs), torch.split(signal, sizes), strict=True))

    def _fits(self, answers: int) -> bool:
        """Whether the signal at so many answers may be held in memory until all are sampled."""
        return self._signal_bytes(answers * self.args.trajectory_length) <= _MOST_BYTES

    def _keepable(self, targets: int) -> bool:
        """Whether there is room for what is to be known of the teacher at so many targets; if not, it is said."""
        if self.engine.paths.states_are_logits:
            return False
        needed = self._signal_bytes(targets)
        room = min(self.engine.processes.gather([self.store.room()]))
        if needed > _SHARE_OF_DISK * room:
            self.progress.say(
                f"  note: {self.store.folder} has room for {room / 2**30:,.1f} GiB and the teacher's signal would take "
                f"{needed / 2**30:,.1f}: the teacher is asked at every step (teacher: live)"
            )
        return needed <= _SHARE_OF_DISK * room

    def _signal_bytes(self, targets: int) -> int:
        """Of a signal at so many targets, at most."""
        head = self.engine.paths.head
        return 4 * (head.weight.shape[1] + 2) * targets if isinstance(head, LMHead) else 0

    def within_length(self, pairs: list[ViewPair]) -> list[ViewPair]:
        """The rows that `max_seq_length` allows.

        Raises:
            ViewError: a row is longer and none may be skipped, or all are.
        """
        limit = self.args.max_seq_length
        if limit is None:
            return pairs
        long = [pair for pair in pairs if len(pair.teacher_ids) > limit]
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

    def ask_teacher(self, pairs: list[ViewPair], known: Known) -> Teacher:
        """The teacher's signal at all targets: kept, or asked again at every step where `teacher` says so."""
        total = sum(len(pair.teacher_targets) for pair in pairs if row_key(pair) not in known)
        if self.args.teacher == "live" or (self.args.teacher == "auto" and not self._keepable(total)):
            return self.engine.live_teacher(pairs)
        if not total:
            return self.engine.teacher(pairs, known=known)
        with self.progress.stage("teacher", "asking the teacher", total, "tokens") as on_progress:
            return self.engine.teacher(pairs, on_progress, self.store, known)
