"""Errors of the hub are caught whichever HTTP library its client uses, and nothing else is."""

from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from bakery.sharing.hub import HUB_ERRORS


def test_what_the_client_raises_is_caught():
    assert issubclass(HfHubHTTPError, HUB_ERRORS)
    assert issubclass(RepositoryNotFoundError, HUB_ERRORS)


def test_mistakes_of_ours_are_not():
    assert not issubclass(TypeError, HUB_ERRORS)
    assert not issubclass(AssertionError, HUB_ERRORS)
    assert Exception not in HUB_ERRORS
