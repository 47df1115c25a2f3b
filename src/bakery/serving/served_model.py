"""Models behind a server, asked over HTTP by token ids and as text; see `bakery.exporting.asking.Asked`.

Answers are greedy. As text means what a client does: messages are sent, and the server's chat template and tokenizer
make tokens of them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from bakery.chat.rendering import Message
from bakery.exporting.asking import Asked
from bakery.serving.json_http import post
from bakery.settings.tools import Tool

_FORCE = 1e6
"""Added to a token's logit, so that it is the most likely one."""


class ServedModel(Asked, Protocol):
    """A model of a server."""

    def text_ids(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> tuple[int, ...]:
        """The tokens that the server makes of a conversation, with the generation prompt."""
        ...

    def chat(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), more: Mapping[str, Any] | None = None
    ) -> "ChatReply":
        """The answer to a conversation; `more` goes into the request too."""
        ...


@dataclass(frozen=True)
class ChatReply:
    """What a server answers to a conversation, and how many tokens it counts in the prompt and in the answer."""

    text: str
    prompt_tokens: int
    answer_tokens: int


@dataclass(frozen=True)
class VllmModel:
    """A model or an adapter of vLLM's server.

    Args:
        url: of the server, without a slash at its end.
        name: of the model or of the adapter.
        stops: the tokens that end a turn.
        longest: how many tokens an answer has at most.
        variables: of the chat template.
    """

    url: str
    name: str
    stops: frozenset[int]
    longest: int
    variables: Mapping[str, Any] = field(default_factory=dict)

    def answer(self, ids: Sequence[int]) -> tuple[int, ...]:
        """The greedy answer to a prompt, the end of turn included."""
        return tuple(self._complete(ids, max_tokens=self.longest, return_token_ids=True)["token_ids"])

    def log_probabilities(self, ids: Sequence[int], answer: Sequence[int]) -> Tensor:
        """Of the tokens of an answer behind a prompt: [len(answer)]."""
        whole = [*ids, *answer]
        listed = self._complete(whole, max_tokens=1, prompt_logprobs=0)["prompt_logprobs"]
        entries = zip(listed[len(ids) :], answer, strict=True)
        return torch.tensor([entry[str(token)]["logprob"] for entry, token in entries])

    def text_ids(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> tuple[int, ...]:
        """The tokens that the server makes of a conversation, with the generation prompt."""
        body = {"model": self.name, "messages": list(messages), "chat_template_kwargs": dict(self.variables)}
        return tuple(post(f"{self.url}/tokenize", {**body, **_tools(tools)})["tokens"])

    def chat(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), more: Mapping[str, Any] | None = None
    ) -> ChatReply:
        """The answer to a conversation."""
        return _chat(self.url, self.request(messages, tools), self.longest, more)

    def request(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> dict[str, Any]:
        """What a client sends: the conversation, and all that this model needs to be told with it."""
        offered = {**_tools(tools), "tool_choice": "none"} if tools else {}
        variables = {"chat_template_kwargs": dict(self.variables)} if self.variables else {}
        return {"model": self.name, "messages": list(messages), **offered, **variables}

    def _complete(self, ids: Sequence[int], **more: Any) -> Any:
        body = {"model": self.name, "prompt": list(ids), "temperature": 0, "stop_token_ids": sorted(self.stops)}
        return post(f"{self.url}/v1/completions", {**body, **more})["choices"][0]


@dataclass(frozen=True)
class LlamaModel:
    """A model of llama.cpp's server, with its adapters at the strengths that a request names.

    Args:
        url: of the server, without a slash at its end.
        name: of the model.
        stops: the tokens that end a turn.
        longest: how many tokens an answer has at most.
        variables: of the chat template.
        strengths: of the adapters, in the order in which the server has loaded them.
    """

    url: str
    name: str
    stops: frozenset[int]
    longest: int
    variables: Mapping[str, Any] = field(default_factory=dict)
    strengths: tuple[float, ...] = ()

    def answer(self, ids: Sequence[int]) -> tuple[int, ...]:
        """The greedy answer to a prompt, the end of turn included."""
        answer = self._complete(ids, n_predict=self.longest, return_tokens=True)["tokens"]
        end = next((at for at, token in enumerate(answer) if token in self.stops), len(answer))
        return tuple(answer[: end + 1])

    def log_probabilities(self, ids: Sequence[int], answer: Sequence[int]) -> Tensor:
        """Of the tokens of an answer behind a prompt: [len(answer)].

        The server tells the log-probabilities of tokens that it has chosen itself, before any bias. So every token is
        asked for alone and made the likeliest one by a bias.
        """
        known = []
        for at, token in enumerate(answer):
            asked = {"n_predict": 1, "n_probs": 1, "logit_bias": [[token, _FORCE]]}
            (said,) = self._complete([*ids, *answer[:at]], **asked)["completion_probabilities"]
            known.append(float(said["logprob"]) if said["id"] == token else -math.inf)
        return torch.tensor(known)

    def text_ids(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> tuple[int, ...]:
        """The tokens that the server makes of a conversation, with the generation prompt."""
        body = {"messages": list(messages), "chat_template_kwargs": dict(self.variables), **_tools(tools)}
        text = post(f"{self.url}/apply-template", body)["prompt"]
        sent = {"content": text, "add_special": True, "parse_special": True}
        return tuple(post(f"{self.url}/tokenize", sent)["tokens"])

    def chat(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), more: Mapping[str, Any] | None = None
    ) -> ChatReply:
        """The answer to a conversation."""
        return _chat(self.url, self.request(messages, tools), self.longest, more)

    def request(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> dict[str, Any]:
        """What a client sends: the conversation, and all that this model needs to be told with it."""
        variables = {"chat_template_kwargs": dict(self.variables)} if self.variables else {}
        return {"model": self.name, "messages": list(messages), **_tools(tools), **variables, **self._strengths}

    @property
    def _strengths(self) -> dict[str, Any]:
        return (
            {"lora": [{"id": at, "scale": scale} for at, scale in enumerate(self.strengths)]} if self.strengths else {}
        )

    def _complete(self, ids: Sequence[int], **more: Any) -> Any:
        body = {"prompt": list(ids), "temperature": 0, "repeat_penalty": 1, **self._strengths, **more}
        return post(f"{self.url}/completion", body)


def _tools(tools: Sequence[Tool]) -> dict[str, Any]:
    return {"tools": [dict(tool) for tool in tools]} if tools else {}


def _chat(url: str, request: Mapping[str, Any], longest: int, more: Mapping[str, Any] | None) -> ChatReply:
    body = {**request, "temperature": 0, "max_tokens": longest, **(more or {})}
    said = post(f"{url}/v1/chat/completions", body)
    text = said["choices"][0]["message"].get("content") or ""
    return ChatReply(text.strip(), said["usage"]["prompt_tokens"], said["usage"]["completion_tokens"])
