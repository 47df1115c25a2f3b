"""The examples of a proof: a few questions with every reply, each token with its divergence from the prompted model."""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from bakery.chat.views import PromptPair
from bakery.engine.distill.conditions import BAKED, BASE, PROMPTED, Condition
from bakery.evaluation.evaluator import Evaluator
from bakery.evaluation.proof import AnsweredQuestion, Example
from bakery.evaluation.proof_rows import EXAMPLES
from bakery.rows.conversations import evenly

COMPARED = {BASE: BASE, PROMPTED: BAKED, BAKED: BAKED}
"""By whose reply is shown: whose divergence from the prompted model is shown along it."""


def examples(
    evaluator: Evaluator, prompts: Sequence[PromptPair], answered: Sequence[AnsweredQuestion], count: int = EXAMPLES
) -> tuple[Example, ...]:
    """A few questions, spread evenly over all of them, with the divergence at every token of their replies."""
    shown = evenly(list(zip(prompts, answered, strict=True)), count)
    if not shown:
        return ()
    tokens: list[dict[Condition, tuple[tuple[str, float], ...]]] = [{} for _ in shown]
    for condition, compared in COMPARED.items():
        replies = [one.replies[condition].ids for _, one in shown]
        pairs = [prompt.with_answer(ids) for (prompt, _), ids in zip(shown, replies, strict=True)]
        comparison = evaluator.compare(compared, evaluator.with_teacher(pairs))
        for own, ids, nats in zip(tokens, replies, comparison.by_row(comparison.divergence), strict=True):
            own[condition] = tuple(zip(token_texts(evaluator.engine.tokenizer, ids), nats, strict=True))
    return tuple(Example(one, own) for (_, one), own in zip(shown, tokens, strict=True))


def token_texts(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> list[str]:
    """What each token adds to the text; a character of several tokens appears with its last one.

    Special tokens add nothing. The texts together are the decoded text.
    """
    texts: list[str] = []
    shown = ""
    for end in range(1, len(ids) + 1):
        text = str(tokenizer.decode(list(ids[:end]), skip_special_tokens=True))
        if text.endswith("\ufffd") and end < len(ids):
            texts.append("")
        else:
            texts.append(text[len(shown) :])
            shown = text
    return texts
