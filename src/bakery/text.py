"""Words for messages: the name that was probably meant, texts cut to one line, values described in a few words."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

DISTRIBUTION = "bakery-lora"
"""What this package is called on the Python index, where `bakery` is another one."""


def install_extra(extra: str) -> str:
    """The command that installs Bakery with what an extra needs."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"


SECRET_NAME = re.compile("TOKEN|KEY|SECRET|PASSW", re.IGNORECASE)
"""What is in the names of variables and options whose values are shown to nobody."""
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+(?=@)|\bhf_\w{6,}")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name that `word` most probably means; None where nothing is near."""
    return next(iter(get_close_matches(word.lower().replace("-", "_"), list(known), n=1, cutoff=0.7)), None)


def suggestion(word: str, known: Iterable[str], fallback: str) -> str:
    """A question that names the nearest known name, or `fallback` where nothing is near."""
    near = nearest(word, known)
    return f"did you mean {near}?" if near else fallback


def excerpt(text: str, limit: int = 60) -> str:
    """A text on one line, cut to `limit` characters."""
    shown = " ".join(text.split())
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def first_line(error: BaseException) -> str:
    """The first line of what an error says; its name where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def secrets_of(words: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """The values of a command line and of variables that are secrets by their names; longest first."""
    values = [value for name, value in environment.items() if SECRET_NAME.search(name)]
    option = ""
    for word in words:
        option, _, value = word.partition("=") if word.startswith("--") else (option, "", word)
        values += [value] if option.lower().endswith("token") else []
    return sorted({value for value in values if len(value) >= 6}, key=len, reverse=True)


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """A text without these secrets, the credentials in addresses, and tokens of the hub."""
    for secret in secrets:
        text = text.replace(secret, "…")
    return _CREDENTIALS.sub("…", text)


def listed(names: Iterable[Any], limit: int = 8) -> str:
    """The first `limit` names separated by commas, or "none"."""
    shown = [str(name) for name in names]
    return ", ".join(shown[:limit] + ["..."] * (len(shown) > limit)) or "none"


def describe(value: Any) -> str:
    """A value in a few words for an error message."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return f"the number {excerpt(str(value))}"
    if isinstance(value, str):
        return f"the text {value!r}" if len(value) <= 60 else f"the text {value[:57]!r}..."
    if isinstance(value, Mapping):
        return f"a mapping with the keys {listed(value)}" if value else "an empty mapping"
    return f"a list of {len(value)}" if isinstance(value, list | tuple) else f"a {type(value).__name__}"


def size(count: float) -> str:
    """Bytes in units of a thousand."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}" if count < 10 * factor else f"{count / factor:.0f} {unit}"
    return f"{count / 1e3:.0f} kB"
