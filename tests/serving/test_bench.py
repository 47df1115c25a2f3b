"""Both sides are asked in alternating rounds, no question twice alike, all answers of one length."""

import json
from dataclasses import dataclass, field, replace

import pytest

from bakery.evaluation.replies import Reply
from bakery.exporting.asking import Baked, BakedAnswer
from bakery.serving.bench import Bench, Measured, Side, bench_figures, bench_table, measure
from bakery.serving.served_model import ChatReply

REPLY = Reply("Ahoy!", (4, 2), True)
PROMPT = {"role": "system", "content": "Speak like a pirate."}


@dataclass
class Recorder:
    """Stands in for a model of a server, and writes down what it is asked."""

    name: str
    log: list = field(default_factory=list)

    def chat(self, messages, tools=(), more=None):
        self.log.append((self.name, messages, more))
        return ChatReply("", 10 * len(messages), more["max_tokens"])


def baked(*before):
    questions = ("Who?", "Why?", "When?")
    answers = tuple(
        BakedAnswer((*before, {"role": "user", "content": text}), (1,), REPLY, (0.0,)) for text in questions
    )
    return Baked(answers, {}, None, 8)


@pytest.mark.parametrize("at_once", [1, 2])
def test_rounds_alternate_and_no_question_comes_twice(at_once):
    base, adapter = Recorder("base"), Recorder("adapter")
    adapter.log = base.log
    measured = measure("run", base, adapter, baked(PROMPT), baked(), 5, at_once, rounds=4)
    sides = measured.prompted, measured.baked, measured.merged
    assert [side.prompt_tokens for side in sides] == [20, 10, 10]
    assert [len(side.requests_per_second) for side in sides] == [4, 4, 4]
    assert len(base.log) == 3 * 5 * 3
    rounds = [(base.log[at][0], PROMPT in base.log[at][1]) for at in range(0, len(base.log), 3)]
    first = [("base", True), ("adapter", False), ("base", False)]
    assert rounds == [*first, *first[1:], first[0], *first[2:], *first[:2], *first, *first[1:], first[0]]
    assert {json.dumps(more) for _, _, more in base.log} == {'{"max_tokens": 5, "ignore_eos": true}'}
    questions = [messages[-1]["content"] for _, messages, _ in base.log]
    assert len(set(questions)) == len(questions)


def test_figures_and_table_hold_the_medians():
    measured = Measured("run", 16, Side((1.0, 9.0, 2.0), 90.0), Side((4.0, 3.0, 100.0), 20.0), Side((6.0,), 20.0))
    bench = Bench("vLLM", "a/base", "float32", "x86_64, 2 cores", 48, 12, (replace(measured, at_once=1), measured))
    figures = json.loads(json.dumps(bench_figures(bench)))
    assert [row["at_once"] for row in figures["measured"]] == [1, 16]
    assert figures["measured"][1]["prompted"] == {
        "requests_per_second": [1.0, 9.0, 2.0], "prompt_tokens": 90.0, "median": 2.0, "ratio": 1.0
    }  # fmt: skip
    assert figures["measured"][1]["baked"]["ratio"] == 2.0
    table = bench_table(bench)
    assert table[2].split() == ["run,", "16", "at", "a", "time", "2.00", "4.00", "2.00", "6.00", "3.00"]
    assert "90 tokens with the prompt and 20 without" in table[3]
    assert "every answer 12 tokens long; vLLM" in table[4]
