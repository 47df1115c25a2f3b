"""Words for messages: the name that was probably meant, and texts cut to the length of a line."""

from collections.abc import Iterable
from difflib import get_close_matches

_LIKENESS = 0.7


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name that `word` most probably means; None where nothing is near."""
    return next(iter(get_close_matches(word.lower().replace("-", "_"), list(known), n=1, cutoff=_LIKENESS)), None)


def excerpt(text: str, limit: int = 60) -> str:
    """A text on one line, cut to `limit` characters."""
    shown = " ".join(text.split())
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
