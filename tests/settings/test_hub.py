"""A hub that cannot be reached is told apart from all other failures, through whatever wraps it."""

import pytest
from httpx2 import Request, Response
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

from bakery.settings.hub import unreachable


def wrapped(cause: Exception) -> Exception:
    try:
        try:
            raise cause
        except type(cause):
            raise OSError("it did not work")  # noqa: B904 (libraries do this too)
    except OSError as error:
        return error


@pytest.mark.parametrize("cause", [LocalEntryNotFoundError("not in the cache"), ConnectionRefusedError(111, "refused")])
def test_it_is_seen_behind_other_errors_and_says_whether_offline_mode_is_the_reason(cause, monkeypatch):
    for offline, words in ((True, "HF_HUB_OFFLINE is set"), (False, "HF_HUB_OFFLINE is not set")):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
        assert unreachable(wrapped(cause)) == f"the hub cannot be reached ({words})"


def test_anything_else_is_not_laid_to_the_hub():
    assert unreachable(wrapped(ValueError("a broken file"))) is None


@pytest.mark.parametrize(
    ("kind", "status", "says"),
    [
        (GatedRepoError, 403, "ask for it on the page there"),
        (HfHubHTTPError, 401, "hf auth login"),
        (RepositoryNotFoundError, 404, "look for a slip"),
        (HfHubHTTPError, 429, "wait some minutes"),
        (HfHubHTTPError, 503, "try again later"),
    ],
)
def test_what_the_hub_answers_is_told_with_what_helps(kind, status, says):
    response = Response(status, request=Request("GET", "http://127.0.0.1:9/"))
    error = OSError("wrapped")
    error.__cause__ = kind("no", response=response)
    said = unreachable(error)
    assert says in said
    assert str(status) in said
