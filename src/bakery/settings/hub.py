"""Why the hub gives nothing: told apart from everything else that can go wrong while something is loaded."""

from collections.abc import Iterator

OFFLINE = "HF_HUB_OFFLINE"


def unreachable(error: BaseException) -> str | None:
    """In words, that the hub cannot be reached, where this is what an error or one of its causes says."""
    from huggingface_hub import is_offline_mode
    from huggingface_hub.errors import LocalEntryNotFoundError

    if not any(isinstance(cause, LocalEntryNotFoundError | ConnectionError) for cause in _causes(error)):
        return None
    return f"the hub cannot be reached ({OFFLINE} is {'set' if is_offline_mode() else 'not set'})"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
