"""What the conditions said: every reply is remembered, and one that was cut is where a longer one begins."""

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from bakery.chat.views import PromptPair
from bakery.engine.distill.conditions import Condition
from bakery.engine.distill.samplers.sampler import SamplingPrompt, ThinkingBound


@dataclass(frozen=True)
class Reply:
    """What one condition said to one question.

    Args:
        text: all of it.
        ids: all of it, with what was put in to end its thoughts.
        stopped: whether it ended its turn by itself.
        begin: where the answer begins in `ids`, behind its thoughts; 0 where it has none or was cut in them.
        answer: the text of the answer alone, where it begins behind thoughts.
        forced: the positions in `ids` of what was put in.
    """

    text: str
    ids: tuple[int, ...]
    stopped: bool
    begin: int = 0
    answer: str = ""
    forced: range = range(0)

    @property
    def judged(self) -> str:
        """What is right or wrong: the answer behind the thoughts; everything where there are none, or only thoughts."""
        return self.answer if self.begin else self.text

    @property
    def answer_ids(self) -> tuple[int, ...]:
        """The tokens of what is judged."""
        return self.ids[self.begin :]


@dataclass(frozen=True)
class Ask:
    """Questions to one condition: a reply each, of the most likely words at temperature 0, else drawn by the seed."""

    condition: Condition
    prompts: Sequence[PromptPair]
    temperature: float = 0.0
    seed: int = 0

    def requests(self, thinking: ThinkingBound | None = None) -> list["Request"]:
        """What is asked, question by question, with thoughts of at most so many tokens."""
        seed = self.seed if self.temperature else 0  # greedy replies depend on none
        return [Request(self.condition, tuple(read), self.temperature, seed, thinking) for read in self._read()]

    def _read(self) -> Iterable[Sequence[int]]:
        return ((one.teacher_ids if self.condition.prompted else one.student_ids) for one in self.prompts)


@dataclass(frozen=True)
class Request:
    """All that a reply depends on, beside its longest length.

    Its random numbers are named by the seed and what is read: a question gets the same reply whatever is asked with it.
    """

    condition: Condition
    ids: tuple[int, ...]
    temperature: float
    seed: int
    thinking: ThinkingBound | None = None

    def sampling_prompt(self, prefix_key: str, draft: tuple[int, ...]) -> SamplingPrompt:
        """The request as a sampler takes it."""
        name = hashlib.blake2b(array("q", self.ids).tobytes(), digest_size=8).digest()
        stream = (self.seed, int.from_bytes(name, "big"))
        return SamplingPrompt(self.ids, prefix_key if self.condition.prompted else "", self.temperature, stream, draft)


@dataclass(frozen=True)
class KnownReplies:
    """Replies by request; only as long as the adapters that were asked stay as they are."""

    replies: dict[Request, Reply] = field(default_factory=dict)

    def reply(self, request: Request, longest: int) -> Reply | None:
        """The reply of at most `longest` tokens, thoughts that have a bound not counted, if enough of it is known."""
        known = self.replies.get(request)
        longest += request.thinking.before(known.ids, known.forced) if known and request.thinking else 0
        if known is None or (len(known.ids) < longest and not known.stopped):
            return None
        return known if len(known.ids) <= longest else replace(known, ids=known.ids[:longest], stopped=False)

    def draft(self, request: Request, *alike: Request) -> tuple[int, ...]:
        """What the reply probably is: its beginning, or else the reply to a request that is probably answered alike."""
        return next((self.replies[one].ids for one in (request, *alike) if one in self.replies), ())

    def of(self, adapters: tuple[tuple[str, float], ...]) -> "KnownReplies":
        """Those of a model under these adapters."""
        return KnownReplies({one: reply for one, reply in self.replies.items() if one.condition.adapters == adapters})
