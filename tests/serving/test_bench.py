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
    prompted, own = Recorder("prompted"), Recorder("baked")
    own.log = prompted.log
    sides = (prompted, baked(PROMPT)), (own, baked())
    measured = measure("run", *sides, 5, at_once, rounds=4)
    assert (measured.prompted.prompt_tokens, measured.baked.prompt_tokens) == (20, 10)
    assert len(measured.prompted.requests_per_second) == len(measured.baked.requests_per_second) == 4
    assert len(prompted.log) == 2 * 5 * 3
    rounds = [prompted.log[at][0] for at in range(0, len(prompted.log), 3)]
    assert rounds == ["baked", "prompted", "prompted", "baked"] * 2 + ["baked", "prompted"]
    assert {json.dumps(more) for _, _, more in prompted.log} == {'{"max_tokens": 5, "ignore_eos": true}'}
    questions = [messages[-1]["content"] for _, messages, _ in prompted.log]
    assert len(set(questions)) == len(questions)
    assert all(messages[0] == PROMPT for name, messages, _ in prompted.log if name == "prompted")


def test_figures_and_table_hold_the_medians():
    measured = Measured("run", 16, Side((1.0, 9.0, 2.0), 90.0), Side((4.0, 3.0, 100.0), 20.0))
    bench = Bench("vLLM", "a/base", "float32", "x86_64, 2 cores", 48, 12, (replace(measured, at_once=1), measured))
    figures = json.loads(json.dumps(bench_figures(bench)))
    assert [row["at_once"] for row in figures["measured"]] == [1, 16]
    assert figures["measured"][1]["prompted"] == {
        "requests_per_second": [1.0, 9.0, 2.0], "prompt_tokens": 90.0, "median": 2.0
    }  # fmt: skip
    assert figures["measured"][1]["ratio"] == 2.0
    table = bench_table(bench)
    assert table[2].split() == ["run,", "16", "at", "a", "time", "2.00", "4.00", "2.00"]
    assert "90 tokens with the prompt and 20 without" in table[3]
    assert "every answer 12 tokens long; vLLM" in table[4]
