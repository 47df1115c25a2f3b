"""Why the hub gives nothing: asked in one short question before anything is loaded, and read from errors afterwards.

The hub's client asks again for about a minute where there is no answer. The question here is asked once, and its answer
is waited for for a few seconds.
"""

import logging
from collections.abc import Iterator
from concurrent.futures import Future
from functools import cache
from pathlib import Path
from threading import Thread
from typing import cast

from bakery.errors import ModelError
from bakery.settings.paths import STARTER
from bakery.text import first_line

OFFLINE = "HF_HUB_OFFLINE"
_PATIENCE = "HF_HUB_ETAG_TIMEOUT"
"""The variable of the hub's client that sets how many seconds an answer may take; 10 where it is not set."""
_ASKED_FOR = {"model": "config.json", "dataset": "README.md"}
"""By the kind of repository, the file that is asked for. The hub refuses a file only to those who may not read it."""

_SHORT = "Consistency check failed"
"""How the client's error about a file that is shorter than promised begins; it has no class of its own."""


@cache
def only_cached(name: str) -> bool:
    """Whether a model is to be loaded from the cache alone, because the hub does not give it now.

    A warning is logged then. The answer holds for this process, so that all parts of a model come from one source; a
    refusal is not remembered, and the next call asks again.

    Args:
        name: a folder, for which this is False, or a hub id.

    Raises:
        ModelError: the hub does not give the model, and it is not in the cache.
    """
    from huggingface_hub import try_to_load_from_cache

    refused = refusal(name)
    if refused is None:
        return False
    if not isinstance(try_to_load_from_cache(name, _ASKED_FOR["model"]), str):
        raise ModelError(missing(name, "model", refused))
    logging.getLogger(__name__).warning("%s: %s; the copy in the cache is used", name, refused)
    return True


def missing(name: str, what: str, reason: str) -> str:
    """One line: a part of a model is neither in the cache nor to be had, why, and what works without the hub."""
    remedy = f"give a local folder, or {STARTER}, the model shipped with Bakery"
    return f"{name}: the {what} is not in the cache, and {reason}; {remedy}"


def refusal(name: str, kind: str = "model") -> str | None:
    """In words, why the hub does not give a model or data set now; None where it does, or where it is not asked.

    It is not asked about a folder, and not in offline mode. This takes as many seconds as `HF_HUB_ETAG_TIMEOUT`
    says, at most.

    Args:
        name: a folder or a hub id.
        kind: `model` or `dataset`.
    """
    from huggingface_hub import constants, is_offline_mode

    if is_offline_mode() or Path(name).is_dir():
        return None
    seconds = constants.HF_HUB_ETAG_TIMEOUT
    answer: Future[str | None] = Future()
    # The client's own limit begins anew with each byte, and does not hold while the hub's address is looked up.
    Thread(target=lambda: answer.set_result(_asked(name, kind, 2 * seconds)), daemon=True).start()
    try:
        return answer.result(seconds)
    except TimeoutError:
        return f"the hub gave no answer within {seconds} s ({_PATIENCE}=60 waits for a minute)"


def _asked(name: str, kind: str, seconds: float) -> str | None:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError, RevisionNotFoundError

    try:
        get_hf_file_metadata(hf_hub_url(name, _ASKED_FOR[kind], repo_type=kind), timeout=seconds)
    except (EntryNotFoundError, RevisionNotFoundError):  # the repository may be read, which is what was asked
        return None
    except client_errors() as error:
        logging.getLogger(__name__).debug("asking for %s failed", name, exc_info=error)
        return unreachable(error)
    return None


def client_errors() -> tuple[type[Exception], ...]:
    """What the hub's client raises: its own errors, those of the HTTP library it uses, and ValueError about names."""
    from huggingface_hub.errors import HfHubHTTPError

    return cast(tuple[type[Exception], ...], (*HfHubHTTPError.__bases__, ValueError))


def unreachable(error: BaseException) -> str | None:
    """In words, that the hub cannot be reached or refuses, where this is what an error or one of its causes says."""
    from huggingface_hub import is_offline_mode
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    for answer in _causes(error):
        if not isinstance(answer, HfHubHTTPError) or answer.response is None:
            continue
        status, is_absent = answer.response.status_code, isinstance(answer, RepositoryNotFoundError)
        if isinstance(answer, GatedRepoError) or (status in (401, 403) and not is_absent):
            return f"the hub lets nobody in without leave ({status}; ask for it on the page there, then hf auth login)"
        if status == 404 or is_absent:  # 401 is what somebody without a login hears of a name that nobody has
            return f"the hub has nothing of this name ({status}; look for a slip, or hf auth login where it is private)"
        if status == 429:
            return "the hub gets too many requests from here (429; wait some minutes)"
        if status >= 500:
            return f"the hub has a failure of its own ({status}; try again later)"
    for cause in _causes(error):
        is_short = isinstance(cause, OSError) and str(cause).startswith(_SHORT)
        if is_short or (isinstance(cause, HfHubHTTPError.__bases__[0]) and not isinstance(cause, HfHubHTTPError)):
            return f"the connection to the hub failed ({first_line(cause).rstrip('.')}; try again)"
    if not any(isinstance(cause, LocalEntryNotFoundError | ConnectionError) for cause in _causes(error)):
        return None
    return f"the hub cannot be reached ({OFFLINE} is {'set' if is_offline_mode() else 'not set'})"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
