"""The examples of a proof: a few questions with every reply, each token with its divergence from the prompted model."""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from bakery.chat.views import PromptPair
from bakery.engine.distill.conditions import BAKED, BASE, PROMPTED, Condition
from bakery.evaluation.evaluator import Evaluator
from bakery.evaluation.proof import AnsweredQuestion, Example

_EXAMPLES = 12
_COMPARED = {BASE: BASE, PROMPTED: BAKED, BAKED: BAKED}
"""By whose reply is shown: whose divergence from the prompted model is shown along it."""


def examples(
    evaluator: Evaluator, prompts: Sequence[PromptPair], answered: Sequence[AnsweredQuestion]
) -> tuple[Example, ...]:
    """A few questions, spread evenly over all of them, with the divergence at every token of their replies."""
    count = min(_EXAMPLES, len(answered))
    chosen = [number * len(answered) // count for number in range(count)]
    tokens: dict[int, dict[Condition, tuple[tuple[str, float], ...]]] = {number: {} for number in chosen}
    for condition, compared in _COMPARED.items():
        ids_by_number = {number: answered[number].replies[condition].ids for number in chosen}
        replied = {number: ids for number, ids in ids_by_number.items() if ids}
        if not replied:
            continue
        rows = evaluator.with_teacher([prompts[number].with_answer(ids) for number, ids in replied.items()])
        comparison = evaluator.compare(compared, rows)
        nats_by_row = comparison.by_row(comparison.divergence)
        for (number, ids), nats in zip(replied.items(), nats_by_row, strict=True):
            tokens[number][condition] = tuple(zip(token_texts(evaluator.engine.tokenizer, ids), nats, strict=True))
    return tuple(Example(answered[number], tokens[number]) for number in chosen)


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
