"""The gallery: a few questions with everybody's answers, every token with its distance from the prompted model."""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from bakery.chat.views import PromptPair
from bakery.engine.distill.conditions import BAKED, BASE, PROMPTED, Condition
from bakery.evaluation.evaluator import Evaluator
from bakery.evaluation.proof import Answers, Exhibit, Painted

_SHOWN = 12
_PAINTERS = {BASE: BASE, PROMPTED: BAKED, BAKED: BAKED}
"""Along whose answer (key) whose distance from the prompted model is shown."""


def exhibits(evaluator: Evaluator, prompts: Sequence[PromptPair], answers: Sequence[Answers]) -> tuple[Exhibit, ...]:
    """Questions spread evenly over all of them, painted."""
    count = min(_SHOWN, len(answers))
    chosen = [at * len(answers) // count for at in range(count)]
    painted: list[dict[Condition, Painted]] = [{} for _ in chosen]
    for whose, painter in _PAINTERS.items():
        said = [(place, at) for place, at in enumerate(chosen) if answers[at].replies[whose].ids]
        if not said:
            continue
        case = evaluator.asked([prompts[at].with_answer(answers[at].replies[whose].ids) for _, at in said])
        columns = evaluator.compare(painter, case)
        for (place, at), nats in zip(said, columns.by_row(columns.divergence), strict=True):
            ids = answers[at].replies[whose].ids
            texts = pieces(evaluator.engine.tokenizer, ids)
            painted[place][whose] = Painted(tuple(zip(texts, nats, strict=True)))
    return tuple(Exhibit(answers[at], paint) for at, paint in zip(chosen, painted, strict=True))


def pieces(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> list[str]:
    """What each token adds to the text; a character of several tokens appears with its last one.

    Special tokens add nothing. The pieces together are the decoded text.
    """
    found: list[str] = []
    shown = ""
    for end in range(1, len(ids) + 1):
        text = str(tokenizer.decode(list(ids[:end]), skip_special_tokens=True))
        if text.endswith("\ufffd") and end < len(ids):
            found.append("")
        else:
            found.append(text[len(shown) :])
            shown = text
    return found
