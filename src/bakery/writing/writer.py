"""The model as a writer of messages: behind the bare header of a turn, or asked for them in plain words.

Behind a header a chat model goes on with what people send in such a chat (Magpie, arXiv 2406.08464). Some models are
never trained on the words of user turns; those are asked, as a user would ask, for a message to themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice

from bakery.chat.contexts import key_of
from bakery.chat.pre_query import PreQuery, pre_query
from bakery.chat.views import ViewBuilder
from bakery.engine.distill.conditions import Condition
from bakery.engine.distill.engine import Engine
from bakery.engine.distill.samplers.sampler import SamplingPrompt, SamplingSettings
from bakery.engine.model.structure import stop_ids
from bakery.progress import NO_PROGRESS, ProgressCallback
from bakery.rows.conversations import Conversation, Message

TEMPERATURES = (0.7, 1.0, 1.2)
"""Low ones write what is typical, high ones what is rare."""
_LONGEST = {"user": 128, "system": 256}
"""New tokens at most; a message that is cut off is dropped."""
_THINKING_ENDS = "</think>"

REQUESTS = (
    "Write one question that a user could ask you. Write only the question.",
    "Write one short message that a user could send you. Write only the message.",
    "Write one request that a user could make to you, with its details. Write only the request.",
    "Pick one detail of what you know or of how you answer, and write a question about it. Write only the question.",
    "Write the message of a user who needs your help with something ordinary. Write only the message.",
)
"""What a model is asked that gives nothing usable behind a header."""

Prefix = Sequence[Message]


@dataclass(frozen=True)
class Scene:
    """What precedes a message that is to be written: a prefix (none: nothing), and the chat so far."""

    prefix: tuple[Message, ...] = ()
    chat: tuple[Message, ...] = ()
    role: str = "user"


@dataclass(frozen=True)
class Writer:
    """Writes messages; the same seed writes the same ones.

    Args:
        engine: asks the model, without the adapter that is to be trained.
        builder: renders what precedes a message.
        by_request: ask in plain words instead of going on behind a header.
        on_progress: told of every message and its tokens.
        requests: the plain words.
        longest: new tokens of a user's message at most; one that is cut off is dropped.
        heads: what has been rendered so far, by scene.
    """

    engine: Engine
    builder: ViewBuilder
    by_request: bool = False
    on_progress: ProgressCallback = NO_PROGRESS
    requests: Sequence[str] = REQUESTS
    longest: int = _LONGEST["user"]
    heads: dict[str, PreQuery] = field(default_factory=dict, repr=False)

    def write(self, scenes: Sequence[Scene], counts: Sequence[int], seed: int) -> list[list[str]]:
        """At most so many messages for each scene, at several temperatures; broken ones are left out.

        Raises:
            TemplateError, ViewError: the template has no header to go on behind, or cannot render a scene.
        """
        written: list[list[str]] = [[] for _ in scenes]
        sample = self._asked if self.by_request else self._continued
        for number, temperature in enumerate(TEMPERATURES):
            shares = [len(range(number, count, len(TEMPERATURES))) for count in counts]
            # Scenes of which equally many messages are wanted are sampled together.
            for share in sorted(set(shares) - {0}):
                members = [at for at, own in enumerate(shares) if own == share]
                texts = sample([scenes[at] for at in members], share, temperature, seed + number)
                for at, more in zip(members, texts, strict=True):
                    written[at] += more
        return written

    def replies(self, rows: Sequence[Conversation], seed: int, longest: int = _LONGEST["user"]) -> list[str]:
        """The teacher's reply to each row, without its thinking; empty where it says nothing."""
        prompts = [self.builder.prompts(row) for row in rows]
        answers = self.engine.answers(
            self.engine.teacher_condition, prompts, max_new_tokens=longest, seed=seed, temperature=1.0,
            on_progress=self.on_progress,
        )  # fmt: skip
        return [self._text(answer.ids) for answer in answers]

    def _continued(self, scenes: Sequence[Scene], count: int, temperature: float, seed: int) -> list[list[str]]:
        """Messages behind the header of their turn."""
        ends = stop_ids(self.engine.model, self.engine.tokenizer)
        heads = [self._head(scene, ends) for scene in scenes]
        settings = SamplingSettings(
            stop_ids=frozenset().union(*(head.stop_ids for head in heads)),
            max_new_tokens=max(_LONGEST["system"] if scene.role == "system" else self.longest for scene in scenes),
            temperature=temperature,
            per_prompt=count,
            seed=seed,
        )
        sampler = self.engine.sampler(Condition(self.engine.teacher_condition.adapters))
        # Scenes of one prefix share its computation; all others are one batch.
        keys = [key_of(scene.prefix) for scene in scenes]
        prompts = [
            SamplingPrompt(head.ids, key if keys.count(key) > 1 else "") for head, key in zip(heads, keys, strict=True)
        ]
        sampled = sampler.sample(prompts, settings, self.on_progress)
        messages: list[list[str]] = [[] for _ in scenes]
        for trajectory in sampled:
            words = heads[trajectory.prompt].words(self.engine.tokenizer, trajectory.ids)
            messages[trajectory.prompt] += [words] if words else []
        return messages

    def _head(self, scene: Scene, ends: frozenset[int]) -> PreQuery:
        key = repr(scene)
        if key not in self.heads:
            chat = () if scene.role == "system" else scene.chat
            prefix = None if scene.role == "system" else scene.prefix
            self.heads[key] = pre_query(self.builder, chat, prefix=prefix, role=scene.role, end_ids=ends)
        return self.heads[key]

    def _asked(self, scenes: Sequence[Scene], count: int, temperature: float, seed: int) -> list[list[str]]:
        """Messages that the model answers with when it is asked for one."""
        first = seed % len(self.requests)
        requests = list(islice(cycle(self.requests), first, first + count))
        rows = [
            Conversation((*scene.chat, {"role": "user", "content": request}), scene.prefix, "a request")
            for scene in scenes
            for request in requests
        ]
        asked = [self.builder.prompts(row, anchor=not row.prefix) for row in rows]
        answers = self.engine.answers(
            self.engine.teacher_condition, asked, max_new_tokens=_LONGEST["user"], temperature=temperature, seed=seed,
            on_progress=self.on_progress,
        )  # fmt: skip
        texts = [self._text(answer.ids).strip("\"'“” ") if answer.stopped else "" for answer in answers]
        return [
            [text for text in texts[at * len(requests) : (at + 1) * len(requests)] if text] for at in range(len(scenes))
        ]

    def _text(self, ids: Sequence[int]) -> str:
        text = str(self.engine.tokenizer.decode(list(ids), skip_special_tokens=True))
        return text.rpartition(_THINKING_ENDS)[2].strip()
