"""What an adapter saves on a server: requests a second with the prompt and baked, on the same server.

A third column is the base without the prompt: that is the speed of a merged model, which has no adapter to apply.

Rounds alternate, and each has all questions in it. Every request begins its question with a number of its own, so that
the server's prefix cache holds the prompt, as it does in use, and never a whole question. All answers have the same
length, whatever is said, so that nothing but the prompt differs.
"""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import count
from statistics import median
from typing import Any

from bakery import __version__
from bakery.chat.rendering import Message
from bakery.exporting.asking import Baked, BakedAnswer
from bakery.progress import NO_PROGRESS, ProgressCallback
from bakery.serving.served_model import ChatReply, ServedModel

SCHEMA = 1
"""Version of bench.json."""
ROUNDS = 5
AT_ONCE = (1, 16)
"""How many requests are on their way at a time."""


@dataclass(frozen=True)
class Side:
    """One way to ask: requests a second of every round, and the mean tokens of a request's prompt."""

    requests_per_second: tuple[float, ...]
    prompt_tokens: float

    @property
    def median(self) -> float:
        """Requests a second of the median round."""
        return median(self.requests_per_second)


@dataclass(frozen=True)
class Measured:
    """An adapter measured with so many requests on their way at a time.

    Args:
        name: of the adapter.
        at_once: how many requests there are at a time.
        prompted: the base with the prompt.
        baked: the adapter without it.
        merged: the base without it, which is as fast as a merged model.
    """

    name: str
    at_once: int
    prompted: Side
    baked: Side
    merged: Side

    def ratio(self, side: Side) -> float:
        """How many requests a side answers in the time of one with the prompt."""
        return side.median / self.prompted.median


@dataclass(frozen=True)
class Bench:
    """All that was measured on one server."""

    engine: str
    base_model: str
    dtype: str
    machine: str
    questions: int
    answer_tokens: int
    measured: tuple[Measured, ...]


def measure(
    name: str,
    base: ServedModel,
    adapter: ServedModel,
    prompted: Baked,
    baked: Baked,
    answer_tokens: int,
    at_once: int,
    *,
    rounds: int = ROUNDS,
    on_progress: ProgressCallback = NO_PROGRESS,
) -> Measured:
    """Ask in alternating rounds, after one of each that is not counted.

    Args:
        name: of the adapter.
        base: behind the server.
        adapter: behind the same server.
        prompted: the questions with the prompt.
        baked: the questions without it.
        answer_tokens: how many tokens every answer has.
        at_once: how many requests are on their way at a time.
        rounds: that are counted, of each.
        on_progress: is told of every round.

    Raises:
        ModelError: the server refuses a request or is gone.
    """
    numbers = count(1)
    sides = {"prompted": (base, prompted), "baked": (adapter, baked), "merged": (base, baked)}
    rates: dict[str, list[float]] = {side: [] for side in sides}
    tokens: dict[str, float] = {}
    with ThreadPoolExecutor(at_once) as pool:
        for number in range(rounds + 1):
            for side in [*list(sides)[number % 3 :], *list(sides)[: number % 3]]:
                model, asked = sides[side]
                marked = [_marked(answer, next(numbers)) for answer in asked.answers]
                started = time.perf_counter()
                replies = list(pool.map(lambda one: _ask(*one), [(model, *one, answer_tokens) for one in marked]))
                seconds = time.perf_counter() - started
                if number:
                    rates[side].append(len(replies) / seconds)
                tokens[side] = sum(reply.prompt_tokens for reply in replies) / len(replies)
                on_progress(1, sum(reply.answer_tokens for reply in replies))
    return Measured(name, at_once, *(Side(tuple(rates[side]), tokens[side]) for side in sides))


def _marked(answer: BakedAnswer, number: int) -> tuple[list[Message], Sequence[Any]]:
    """The messages of a question that begins with a number, and its tools."""
    *before, last = answer.messages
    return [*before, {**last, "content": f"{number}. {last.get('content') or ''}"}], answer.tools


def _ask(model: ServedModel, messages: list[Message], tools: Sequence[Any], tokens: int) -> ChatReply:
    return model.chat(messages, tools, {"max_tokens": tokens, "ignore_eos": True})


def bench_figures(bench: Bench) -> dict[str, Any]:
    """The content of bench.json."""
    figures = asdict(bench)
    for one, row in zip(bench.measured, figures["measured"], strict=True):
        for name, side in (("prompted", one.prompted), ("baked", one.baked), ("merged", one.merged)):
            row[name] |= {"median": side.median, "ratio": one.ratio(side)}
    return {"schema": SCHEMA, "bakery": __version__, "rounds": ROUNDS, **figures}


def bench_table(bench: Bench) -> list[str]:
    """The figures as people read them, line by line."""
    width = max(len("requests a second"), *(len(_title(one)) for one in bench.measured))
    lines = [f"{'requests a second':<{width}}  {'prompted':>9}{'baked':>9}{'ratio':>7}{'merged':>9}{'ratio':>7}"]
    for one in bench.measured:
        figures = f"{one.prompted.median:>9.2f}"
        for side in (one.baked, one.merged):
            figures += f"{side.median:>9.2f}{one.ratio(side):>7.2f}"
        lines.append(f"{_title(one):<{width}}  {figures}")
    sides: Mapping[str, tuple[float, float]] = {
        one.name: (one.prompted.prompt_tokens, one.baked.prompt_tokens) for one in bench.measured
    }
    for name, (prompted, baked) in sides.items():
        lines.append(f"{name}: a request has {prompted:.0f} tokens with the prompt and {baked:.0f} without it")
    lines.append(
        f"medians of {ROUNDS} alternating rounds of {bench.questions} questions, every answer {bench.answer_tokens} "
        f"tokens long; {bench.engine} with prefix caching, {bench.dtype}, {bench.machine}"
    )
    return lines


def _title(one: Measured) -> str:
    return f"{one.name}, {one.at_once} at a time"
