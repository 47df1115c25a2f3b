"""What the hub's client raises: its own errors, and those of whichever HTTP library it uses."""

from typing import Any, cast

from huggingface_hub.errors import HfHubHTTPError

HUB_ERRORS: tuple[type[Exception], ...] = cast(Any, (*HfHubHTTPError.__bases__, ValueError))
"""The bases of the client's error name the HTTP library's; ValueError is a malformed repository name."""


def first_line(error: Exception) -> str:
    """The first line of what an error says; its name where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
