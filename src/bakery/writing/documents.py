"""A document in front of its model: cut into chunks by the model's tokens, and every row behind what is to be seen."""

from bakery.engine.model.loading import context_length, load_tokenizer
from bakery.progress import Progress
from bakery.rows.bake_data import BakeData
from bakery.rows.placement import ModelLimits, placed
from bakery.settings.build import BakeSettings

_QUESTION = 128
"""Tokens that a question may have, the turns' own ones included."""


def with_document(data: BakeData, settings: BakeSettings, progress: Progress) -> BakeData:
    """The rows with the document's chunks; as they are where there is no document, or it is in place already.

    Raises:
        ConfigError: the document, or a chunk with its neighbours, does not fit the model's context.
        DataError: a sentence is longer than a chunk.
        ModelError: the model's tokenizer or configuration cannot be loaded.
    """
    if data.document is None or data.chunks:
        return data
    tokenizer = load_tokenizer(settings.model)

    def count(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    args = settings.bakery
    room = _QUESTION + (args.thinking_length or 0) + max(args.trajectory_length, args.eval_max_new_tokens or 0)
    document = data.document
    data = placed(data, settings.data, ModelLimits(count, context_length(settings.model), room))
    seen = "a chunk with its neighbours" if data.prefix is None else "all of it"
    progress.say(
        f"  the document has {count(document.text):,} tokens in {len(data.chunks):,} chunk(s); before a row the "
        f"teacher sees {seen}"
    )
    return data
