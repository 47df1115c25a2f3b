"""The held-out questions asked of the baked model and again of what was exported, by token ids and as text.

The baked model answers through Bakery's engine, what was exported through transformers or MLX alone, as it is loaded
from its folder. As text means what a server does: messages through the exported chat template, the text through the
exported tokenizer. All answers are greedy.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, PreTrainedTokenizerBase

from bakery.chat.rendering import Message, Renderer, plain_messages
from bakery.chat.tools import ToolLocators
from bakery.chat.turns import Locator
from bakery.chat.views import ViewBuilder
from bakery.engine.distill.conditions import BAKED, Condition
from bakery.engine.model.adapters import acting
from bakery.engine.model.structure import device_of, evaluating
from bakery.errors import ConfigError, ModelError
from bakery.evaluation.evaluator import Evaluator
from bakery.evaluation.replies import Reply
from bakery.progress import NO_PROGRESS, ProgressCallback
from bakery.rows.conversations import Conversation, unanswered
from bakery.settings.tools import Tool

LARGEST_DIFFERENCE = 0.1
"""Of log-probabilities in float32; what differs by more is another model."""


class Asked(Protocol):
    """An exported model that is loaded, whatever runs it."""

    def answer(self, ids: Sequence[int]) -> tuple[int, ...]:
        """The greedy answer to a prompt, the end of turn included."""
        ...

    def log_probabilities(self, ids: Sequence[int], answer: Sequence[int]) -> Tensor:
        """Of the tokens of an answer behind a prompt: [len(answer)], on the CPU."""
        ...


@dataclass(frozen=True)
class BakedAnswer:
    """A question as the student reads it, and what the baked model says to it.

    Args:
        messages: what a client sends for it.
        ids: the prompt, with the generation prompt.
        reply: the greedy answer.
        log_probabilities: of the answer's tokens.
        tools: what a client sends beside the messages.
    """

    messages: tuple[Message, ...]
    ids: tuple[int, ...]
    reply: Reply
    log_probabilities: tuple[float, ...]
    tools: tuple[Tool, ...] = ()


@dataclass(frozen=True)
class Baked:
    """All answers of the baked model at one strength.

    Args:
        answers: question by question.
        variables: those of the chat template that a client has to send along.
        builder: made the prompts.
        longest: how many tokens an answer has at most.
    """

    answers: tuple[BakedAnswer, ...]
    variables: Mapping[str, Any]
    builder: ViewBuilder
    longest: int


@dataclass(frozen=True)
class TextCheck:
    """Of how many questions the text becomes the tokens that the bake has."""

    questions: int
    same_tokens: int


@dataclass(frozen=True)
class AnswerCheck:
    """Of how many questions the answers are equal, and how far apart the log-probabilities of their tokens are."""

    questions: int
    equal_by_ids: int
    equal_as_text: int
    largest_difference: float


def ask_baked(evaluator: Evaluator, rows: Sequence[Conversation], condition: Condition = BAKED) -> Baked:
    """The baked model's answers at the evaluator's strength, or those of the same model under another condition."""
    builder, actual = evaluator.builder, evaluator.actual(condition)
    prompts = evaluator.prompts([unanswered(row) for row in rows])
    replies = evaluator.replies(condition, prompts)
    answers = []
    with acting(evaluator.engine.model, actual.adapters):
        for row, prompt, reply in zip(rows, prompts, replies, strict=True):
            messages = plain_messages(unanswered(row).messages)
            context = builder.rules.context(messages, row.prefix, row.tools, anchor=False)
            ids, sent, tools = prompt.student_ids, context.student, context.student_tools
            if actual.prompted:
                ids, sent, tools = prompt.teacher_ids, context.teacher, context.teacher_tools
            known = tuple(log_probabilities(evaluator.engine.model, ids, reply.ids).tolist())
            answers.append(BakedAnswer(tuple(sent), tuple(ids), reply, known, tuple(tools)))
    variables = {**builder.renderer.kwargs, **builder.thinking_off}
    return Baked(tuple(answers), variables, builder, evaluator.max_new_tokens)


def text_prompts(baked: Baked, tokenizer: PreTrainedTokenizerBase) -> list[tuple[int, ...]]:
    """The questions as this tokenizer and its chat template make tokens of them, on the day of the bake.

    Raises:
        TemplateError: there is no chat template, or it cannot render them.
    """
    today = baked.builder.renderer.today
    renderer = Renderer(tokenizer, chat_template_kwargs=baked.variables, today=today)
    locators, plain = ToolLocators(), Locator(renderer)
    texts = [
        locators.with_tools(plain, answer.tools).renderer.render(answer.messages, generation_prompt=True).text
        for answer in baked.answers
    ]
    return [tuple(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]


def check_text(baked: Baked, tokenizer: PreTrainedTokenizerBase, *, allowed: bool) -> TextCheck:
    """Compare the tokens that this tokenizer and its chat template make of the questions.

    Raises:
        ConfigError: some are others, and that was not allowed.
    """
    return compare_prompts(baked, text_prompts(baked, tokenizer), allowed=allowed)


def compare_prompts(
    baked: Baked, prompts: Sequence[Sequence[int]], *, allowed: bool, server: str | None = None
) -> TextCheck:
    """Compare the tokens of the questions with those that they became somewhere.

    Raises:
        ConfigError: some are others, and that was not allowed.
    """
    same = [tuple(ids) == answer.ids for ids, answer in zip(prompts, baked.answers, strict=True)]
    remedy = "give chat_template_kwargs as the server will have them and bake again"
    if server:  # what Bakery sent itself has them
        remedy = f"{server} cuts words or renders the chat otherwise than transformers: serve this model elsewhere"
    if not all(same) and not allowed:
        raise ConfigError(
            f"export: sent as text, {same.count(False)} of {len(same)} questions become other tokens than in the bake "
            f"(such as {_excerpt(baked.answers[same.index(False)])!r}), so {server or 'a server'} would answer "
            f"otherwise; {remedy}, or add --allow_other_tokens"
        )
    return TextCheck(len(same), sum(same))


def _excerpt(answer: BakedAnswer) -> str:
    return str(answer.messages[-1].get("content") or "")[:40]


def check_answers(
    model: Asked,
    tokenizer: PreTrainedTokenizerBase,
    baked: Baked,
    *,
    exact: bool,
    on_progress: ProgressCallback = NO_PROGRESS,
) -> AnswerCheck:
    """Ask the exported model the same and compare; `exact`: nothing was rounded, so that it is the same model.

    Raises:
        ModelError: it is another one.
    """
    sent = dict(zip((answer.ids for answer in baked.answers), text_prompts(baked, tokenizer), strict=True))

    def as_text(answer: BakedAnswer, ids: tuple[int, ...]) -> str:
        said = ids if sent[answer.ids] == answer.ids else model.answer(sent[answer.ids])
        return str(tokenizer.decode(list(said), skip_special_tokens=True)).strip()

    return compare_answers(model, baked, as_text, exact=exact, on_progress=on_progress)


def compare_answers(
    model: Asked,
    baked: Baked,
    as_text: Callable[[BakedAnswer, tuple[int, ...]], str],
    *,
    exact: bool,
    on_progress: ProgressCallback = NO_PROGRESS,
) -> AnswerCheck:
    """Ask a model the questions by their token ids, and as text.

    Args:
        model: is asked.
        baked: with what it is compared.
        as_text: the answer to a question sent as text, given that to its token ids.
        exact: whether nothing was rounded, so that it is the same model.
        on_progress: is told of every question.

    Raises:
        ModelError: it is to be the same model and is another.
    """
    by_ids = texts = 0
    largest = 0.0
    for answer in baked.answers:
        ids = model.answer(answer.ids)
        by_ids += ids == answer.reply.ids
        texts += as_text(answer, ids) == answer.reply.text
        known = model.log_probabilities(answer.ids, answer.reply.ids)
        largest = max(largest, float((known - torch.tensor(answer.log_probabilities)).abs().max()))
        on_progress(1, len(answer.ids) + len(ids))
    check = AnswerCheck(len(baked.answers), by_ids, texts, largest)
    if exact and not largest <= LARGEST_DIFFERENCE:
        raise ModelError(
            f"export: what was written is not the baked model: {by_ids} of {check.questions} answers are equal and the "
            f"log-probabilities differ by up to {largest:.2g}, though both are in float32; nothing is left of it; "
            "please report this with the adapter's adapter_config.json"
        )
    return check


@dataclass(frozen=True)
class TransformersModel:
    """A model that transformers has loaded, on its device.

    Args:
        network: with or without an adapter of peft.
        stops: the tokens that end a turn.
        longest: how many tokens an answer has at most.
    """

    network: Any
    stops: frozenset[int]
    longest: int

    @torch.inference_mode()
    def answer(self, ids: Sequence[int]) -> tuple[int, ...]:
        """The answer of its own `generate`, the end of turn included; none of its sampling settings count."""
        batch = torch.tensor([list(ids)], device=device_of(self.network))
        before = self.network.generation_config
        self.network.generation_config = GenerationConfig(
            do_sample=False, max_new_tokens=self.longest, eos_token_id=sorted(self.stops), pad_token_id=min(self.stops)
        )
        try:
            with evaluating(self.network):
                written = self.network.generate(batch, attention_mask=torch.ones_like(batch))
        finally:
            self.network.generation_config = before
        return tuple(written[0, len(ids) :].tolist())

    def log_probabilities(self, ids: Sequence[int], answer: Sequence[int]) -> Tensor:
        """Of the tokens of an answer behind a prompt: [len(answer)], on the CPU."""
        return log_probabilities(self.network, ids, answer)


@torch.inference_mode()
def log_probabilities(model: nn.Module, ids: Sequence[int], answer: Sequence[int]) -> Tensor:
    """Of the tokens of an answer behind a prompt, in a plain pass: [len(answer)], on the CPU."""
    batch = torch.tensor([[*ids, *answer]], device=device_of(model))
    with evaluating(model):
        logits = model(input_ids=batch, attention_mask=torch.ones_like(batch), use_cache=False).logits[0].float()
    known = torch.log_softmax(logits[len(ids) - 1 : -1], dim=-1)
    return known.gather(1, batch[0, len(ids) :, None])[:, 0].cpu()


def at_full_precision(evaluator: Evaluator, strength: float, on_progress: ProgressCallback = NO_PROGRESS) -> Evaluator:
    """The evaluator at a strength, in the number format of the weights alone."""
    plain = Evaluator.by(
        replace(evaluator.engine, autocast=nullcontext), evaluator.builder, evaluator.max_new_tokens, evaluator.seed
    )
    return replace(plain.at(strength), on_progress=on_progress)
