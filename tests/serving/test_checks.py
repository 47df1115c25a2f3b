"""A served model is compared by token ids and as text, as its own server makes tokens of it."""

from dataclasses import dataclass

import pytest
import torch

from bakery.errors import ConfigError, ModelError
from bakery.evaluation.replies import Reply
from bakery.exporting.asking import AnswerCheck, Baked, BakedAnswer, TextCheck
from bakery.serving.checks import check_served
from bakery.serving.served_model import ChatReply

QUESTIONS = tuple(
    BakedAnswer(({"role": "user", "content": text},), ids, Reply("Ahoy!", (4, 2), True), (-0.5, -0.25))
    for text, ids in (("Who?", (1, 5)), ("Why?", (1, 6)))
)
BAKED = Baked(QUESTIONS, {}, None, 8)


@dataclass
class Model:
    """Stands in for a served model that gets one question right and has the other one's text wrong."""

    difference: float = 0.0
    strange: tuple = ()

    def answer(self, ids):
        return (4, 2) if ids == (1, 5) else (4, 3)

    def log_probabilities(self, ids, answer):
        return torch.tensor([-0.5, -0.25 - self.difference])

    def text_ids(self, messages, tools=()):
        ids = (1, 5) if messages[0]["content"] == "Who?" else (1, 6)
        return (*ids, *self.strange)

    def chat(self, messages, tools=(), more=None):
        return ChatReply("Ahoy!" if messages[0]["content"] == "Why?" else "No.", 2, 2)


def test_equal_answers_are_counted_by_ids_and_as_text():
    text, answers = check_served(Model(0.125), BAKED, "vLLM", exact=False, allowed=False)
    assert text == TextCheck(2, 2)
    assert answers == AnswerCheck(2, 1, 1, 0.125)


def test_other_tokens_and_another_model_are_refused():
    with pytest.raises(ConfigError, match=r"2 of 2 questions become other tokens .*'Who\?'.* llama.cpp cuts words"):
        check_served(Model(strange=(9,)), BAKED, "llama.cpp", exact=False, allowed=False)
    text, _ = check_served(Model(strange=(9,)), BAKED, "llama.cpp", exact=False, allowed=True)
    assert text == TextCheck(2, 0)
    with pytest.raises(ModelError, match="not the baked model"):
        check_served(Model(0.5), BAKED, "vLLM", exact=True, allowed=False)
