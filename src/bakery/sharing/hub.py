"""What the hub's client raises: its own errors, and those of whichever HTTP library it uses."""

from bakery.settings.hub import client_errors

HUB_ERRORS = client_errors()


def first_line(error: Exception) -> str:
    """The first line of what an error says; its name where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
