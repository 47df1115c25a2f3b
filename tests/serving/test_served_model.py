"""What is sent to either server, and how its answers are read."""

import math

import pytest
import torch

from bakery.serving.served_model import ChatReply, LlamaModel, VllmModel
from tests.serving.support import answering

MESSAGES = [{"role": "user", "content": "Hi"}]
TOOLS = [{"type": "function", "function": {"name": "f"}}]
CHAT = {"choices": [{"message": {"content": " Ahoy! "}}], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}


@pytest.fixture
def asked():
    return []


def replying(asked, answers):
    def answer(path, body):
        asked.append((path, body))
        said = answers[path]
        return 200, said(body) if callable(said) else said

    return answering(answer)


def test_vllm_is_asked_by_ids_one_prompt_a_request(asked):
    def complete(body):
        if "prompt_logprobs" in body:
            entries = [None, *({str(token): {"logprob": -token / 10}} for token in body["prompt"][1:])]
            return {"choices": [{"prompt_logprobs": entries}]}
        return {"choices": [{"token_ids": [8, 9]}]}

    with replying(asked, {"/v1/completions": complete}) as url:
        model = VllmModel(url, "run", frozenset({9, 2}), 12)
        assert model.answer([1, 5]) == (8, 9)
        assert torch.equal(model.log_probabilities([1, 5], [8, 9]), torch.tensor([-0.8, -0.9]))
    (_, first), (_, second) = asked
    assert first["prompt"] == [1, 5]
    assert (first["model"], first["temperature"], first["max_tokens"]) == ("run", 0, 12)
    assert (first["stop_token_ids"], first["return_token_ids"]) == ([2, 9], True)
    assert second["prompt"] == [1, 5, 8, 9]


def test_vllm_is_asked_as_a_client_asks(asked):
    with replying(asked, {"/tokenize": {"tokens": [1, 2]}, "/v1/chat/completions": CHAT}) as url:
        model = VllmModel(url, "run", frozenset({9}), 12, {"enable_thinking": False})
        assert model.text_ids(MESSAGES, TOOLS) == (1, 2)
        assert model.chat(MESSAGES, TOOLS, {"max_tokens": 4}) == ChatReply("Ahoy!", 7, 3)
    (_, tokens), (_, chat) = asked
    assert tokens["messages"] == chat["messages"] == MESSAGES
    assert tokens["tools"] == chat["tools"] == TOOLS
    assert tokens["chat_template_kwargs"] == chat["chat_template_kwargs"] == {"enable_thinking": False}
    assert (chat["model"], chat["tool_choice"], chat["max_tokens"], chat["temperature"]) == ("run", "none", 4, 0)
    assert "stop_token_ids" not in chat
    assert model.request(MESSAGES)["messages"] == MESSAGES
    assert "tool_choice" not in model.request(MESSAGES)


def test_llama_tells_the_probability_of_any_token_that_a_bias_makes_it_choose(asked):
    def complete(body):
        if "n_probs" in body:
            ((token, bias),) = body["logit_bias"]
            said = token if token != 7 else 6
            assert bias > 1e5
            return {"completion_probabilities": [{"id": said, "logprob": -token / 10}]}
        return {"tokens": [8, 9, 4]}

    with replying(asked, {"/completion": complete}) as url:
        model = LlamaModel(url, "base", frozenset({9}), 12, strengths=(0.0, 1.0))
        assert model.answer([1, 5]) == (8, 9)
        assert model.log_probabilities([1, 5], [8, 9]).tolist() == pytest.approx([-0.8, -0.9])
        assert model.log_probabilities([1, 5], [7]).tolist() == [-math.inf]
    assert asked[0][1]["lora"] == [{"id": 0, "scale": 0.0}, {"id": 1, "scale": 1.0}]
    assert [body["prompt"] for _, body in asked[1:3]] == [[1, 5], [1, 5, 8]]


def test_llama_renders_then_makes_tokens(asked):
    answers = {"/apply-template": {"prompt": "<user>Hi"}, "/tokenize": {"tokens": [3]}, "/v1/chat/completions": CHAT}
    with replying(asked, answers) as url:
        model = LlamaModel(url, "base", frozenset(), 12)
        assert model.text_ids(MESSAGES) == (3,)
        assert model.chat(MESSAGES).text == "Ahoy!"
    assert asked[1][1] == {"content": "<user>Hi", "add_special": True, "parse_special": True}
    assert "lora" not in asked[2][1]
