"""Why the hub gives nothing: told apart from everything else that can go wrong while something is loaded."""

from collections.abc import Iterator

OFFLINE = "HF_HUB_OFFLINE"


def unreachable(error: BaseException) -> str | None:
    """In words, that the hub cannot be reached or refuses, where this is what an error or one of its causes says."""
    from huggingface_hub import is_offline_mode
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError

    answers = [cause for cause in _causes(error) if isinstance(cause, HfHubHTTPError) and cause.response is not None]
    for answer in answers:
        status = answer.response.status_code
        if isinstance(answer, GatedRepoError) or status in (401, 403):
            return f"the hub lets nobody in without leave ({status}; ask for it on the page there, then hf auth login)"
        if status == 404:
            return "the hub has nothing of this name (404; look for a slip, or hf auth login where it is private)"
        if status == 429:
            return "the hub gets too many requests from here (429; wait some minutes)"
        if status >= 500:
            return f"the hub has a failure of its own ({status}; try again later)"
    if not any(isinstance(cause, LocalEntryNotFoundError | ConnectionError) for cause in _causes(error)):
        return None
    return f"the hub cannot be reached ({OFFLINE} is {'set' if is_offline_mode() else 'not set'})"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
