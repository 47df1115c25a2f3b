"""Files to a repository of the hub in one commit, and in one line why the hub does not take them."""

import re
from collections.abc import Sequence

from huggingface_hub import CommitOperationAdd, HfApi, get_token, is_offline_mode
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from bakery.errors import BakeryError, ConfigError, ModelError, ResourceError
from bakery.settings.hub import OFFLINE
from bakery.sharing.hub import HUB_ERRORS
from bakery.sharing.selection import Shared
from bakery.text import first_line

_REPO_ID = re.compile(r"[A-Za-z0-9_][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95}", flags=re.ASCII)
_REFUSED: tuple[type[Exception], ...] = (*HUB_ERRORS, OSError)
_LOG_IN = "log in with `hf auth login`, or set HF_TOKEN to a token that may write"


def check_repo_id(repo_id: str, location: str) -> None:
    """Refuse a name that no repository can have.

    Raises:
        ConfigError: the hub would not take it.
    """
    if not _REPO_ID.fullmatch(repo_id):
        raise ConfigError(f"{location}: no repository can be called {repo_id!r}; write owner/name")


def check_online() -> None:
    """Refuse to upload where that cannot work.

    Raises:
        ResourceError: the hub is switched off, or there is no token.
    """
    if is_offline_mode():
        raise ResourceError(
            f"push: {OFFLINE} is set, so nothing is sent; unset it, or see with --dry_run what would be"
        )
    if get_token() is None:
        raise ResourceError(f"push: there is no token for the hub; {_LOG_IN}")


def operations(files: Sequence[Shared]) -> list[CommitOperationAdd]:
    """What a commit is made of."""
    return [CommitOperationAdd(path_in_repo=file.name, path_or_fileobj=file.content) for file in files]


def upload(
    files: Sequence[Shared], repo_id: str, *, private: bool | None, revision: str | None, commit_message: str
) -> str:
    """Send files in one commit into a repository, which is made where it is missing, and return its address.

    Args:
        files: what is sent.
        repo_id: owner/name.
        private: whether a new repository is private; None: as the owner's account has it.
        revision: a branch, which is made where it is missing; None: main.
        commit_message: the first line of the commit.

    Raises:
        ModelError: there is no such repository.
        ResourceError: the hub cannot be reached, or does not take it.
    """
    api = HfApi()
    try:
        url = api.create_repo(repo_id, private=private, exist_ok=True)
        if private and api.repo_info(repo_id).private is False:
            raise ResourceError(f"push: {repo_id} is there already and public; make it private, or choose another name")
        if revision is not None:
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        api.create_commit(repo_id, operations(files), commit_message=commit_message, revision=revision)
    except ResourceError:
        raise
    except _REFUSED as error:
        raise refusal(error, repo_id) from error
    return str(url)


def refusal(error: Exception, repo_id: str) -> BakeryError:
    """What a user is told of an error of the hub's client."""
    status = error.response.status_code if isinstance(error, HfHubHTTPError) and error.response is not None else None
    said = f"push: {repo_id}: "
    if isinstance(error, OfflineModeIsEnabled):
        return ResourceError(f"{said}{OFFLINE} is set; unset it")
    if isinstance(error, LocalTokenNotFoundError) or status == 401:
        return ResourceError(f"{said}the hub does not know who is asking ({first_line(error)}); {_LOG_IN}")
    if isinstance(error, GatedRepoError) or status == 403:
        return ResourceError(f"{said}the token may not write there ({first_line(error)}); {_LOG_IN}")
    if isinstance(error, RepositoryNotFoundError | RevisionNotFoundError) or status == 404:
        return ModelError(f"{said}there is no such repository, or the token may not see it; check owner and name")
    if status is not None:
        return ResourceError(f"{said}the hub does not take it ({first_line(error)}); try again, or another name")
    if isinstance(error, ValueError):
        return ModelError(f"{said}the hub's client refuses it: {first_line(error)}")
    return ResourceError(f"{said}the hub cannot be reached ({first_line(error)}); check the network and HF_ENDPOINT")
