"""The questions of a bake asked of a model behind a server, and compared with what the bake's own model says."""

from collections.abc import Sequence

from bakery.exporting.asking import AnswerCheck, Baked, BakedAnswer, TextCheck, compare_answers, compare_prompts
from bakery.progress import NO_PROGRESS, ProgressCallback
from bakery.serving.served_model import ServedModel


def check_served(
    model: ServedModel,
    baked: Baked,
    server: str,
    *,
    exact: bool,
    allowed: bool,
    on_progress: ProgressCallback = NO_PROGRESS,
) -> tuple[TextCheck, AnswerCheck]:
    """How the server makes tokens of the questions, and what it answers, by token ids and as text.

    Args:
        model: behind the server.
        baked: the questions, and what is to be said to them.
        server: its name.
        exact: whether nothing was rounded, so that it is the same model.
        allowed: whether text may become other tokens there.
        on_progress: is told of every question.

    Raises:
        ConfigError: text becomes other tokens, and that was not allowed.
        ModelError: the server fails, or has another model.
    """
    prompts: Sequence[tuple[int, ...]] = [model.text_ids(answer.messages, answer.tools) for answer in baked.answers]
    text = compare_prompts(baked, prompts, allowed=allowed, server=server)

    def as_text(answer: BakedAnswer, _: tuple[int, ...]) -> str:
        return model.chat(answer.messages, answer.tools).text

    return text, compare_answers(model, baked, as_text, exact=exact, on_progress=on_progress)
