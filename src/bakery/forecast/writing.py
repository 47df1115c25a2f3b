"""What the model will write for a bake: how much work that is, and rows that stand for what it will have written."""

from collections.abc import Iterator, Sequence
from itertools import count, cycle, islice

from bakery.forecast.figures import Stage, Work, sampling_work
from bakery.rows.conversations import Conversation
from bakery.writing.plan import WritingPlan
from bakery.writing.topics import Topic
from bakery.writing.written import WrittenRows

MOST_TOKENS = 128
"""New tokens of a message at most."""
_SURPLUS = 4
"""Messages written for each one that is taken in the end, about: others repeat what was written, or are broken."""
_BATCHES = 18
"""Batches at least: about the context, the world, later turns, held-out questions, system prompts and messages under
them, each at three temperatures."""
_SYSTEM = {"role": "system", "content": "You are a helpful assistant."}
_WORD_TOKENS = 1.3


def writing_stage(plan: WritingPlan, message: float, prefix: float, room: int) -> Stage:
    """The work of writing.

    Args:
        plan: how many messages are wanted.
        message: tokens of one in the mean.
        prefix: tokens of the context, which is read before a message about it.
        room: tokens that a batch has room for.
    """
    if not plan.total:
        return Stage("writing")
    written = _SURPLUS * plan.total
    batches = max(_BATCHES, written * MOST_TOKENS / room)
    one = sampling_work(written / batches, message, MOST_TOKENS, 0)
    return Stage("writing", one.times(batches) + Work(read=batches * prefix))


def expected_rows(plan: WritingPlan, topics: Sequence[Topic], message: float) -> WrittenRows:
    """Rows as many and about as long as the model will write, each unlike the others."""
    numbers, topic = count(1), cycle(topics)
    words = max(1, round(message / _WORD_TOKENS))

    def rows(amount: int, anchor: bool = False) -> list[Conversation]:
        return list(islice(_rows(numbers, topic, words, anchor=anchor), amount))

    return WrittenRows(
        prompts=rows(plan.prompts),
        stopping=rows(plan.stopping),
        held_out=rows(plan.held_out),
        anchors=rows(plan.anchors, anchor=True),
    )


def _rows(numbers: Iterator[int], topics: Iterator[Topic], words: int, *, anchor: bool) -> Iterator[Conversation]:
    for number in numbers:
        topic, text = next(topics), f"{'the ' * (words - 1)}{number}"
        user = {"role": "user", "content": text}
        if anchor:
            yield Conversation((_SYSTEM, user), (), f"expected anchor {number}")
        else:
            yield Conversation((user,), topic.prefix if topic.own else None, f"expected row {number}")
