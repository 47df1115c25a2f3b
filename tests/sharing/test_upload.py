"""One commit with what is sent; and in one line why the hub does not take it."""

import pytest
from huggingface_hub.errors import LocalTokenNotFoundError, OfflineModeIsEnabled

from bakery.errors import ConfigError, ModelError, ResourceError
from bakery.sharing.hub import HUB_ERRORS
from bakery.sharing.selection import Shared
from bakery.sharing.upload import check_online, check_repo_id, refusal, upload

HOW = {"private": None, "revision": None, "commit_message": "Ada"}


@pytest.fixture
def files(tmp_path):
    (tmp_path / "weights").write_bytes(b"\0weights")
    return [Shared("README.md", b"card"), Shared("adapter_model.safetensors", tmp_path / "weights")]


def test_everything_arrives_in_one_commit(hub, files, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_stand_in")
    assert upload(files, "me/ada", **HOW).endswith("me/ada")
    assert hub.files == {"me/ada": {"README.md": b"card", "adapter_model.safetensors": b"\0weights"}}
    assert (hub.commits, hub.revisions, hub.private) == (["Ada"], ["main"], {"me/ada": None})
    upload(files, "me/other", private=True, revision="next", commit_message="Again")
    assert (hub.commits[1:], hub.revisions[1:], hub.private["me/other"]) == (["Again"], ["next"], True)


def test_what_is_to_be_private_does_not_go_into_a_public_repository(hub, files):
    upload(files, "me/ada", **HOW)
    with pytest.raises(ResourceError, match="is there already and public"):
        upload(files, "me/ada", **{**HOW, "private": True})
    assert hub.commits == ["Ada"]


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (401, ResourceError, "hf auth login"),
        (403, ResourceError, "the token may not write there"),
        (404, ModelError, "there is no such repository"),
        (500, ResourceError, "does not take it"),
    ],
)
def test_a_refusal_is_one_line_with_the_remedy(status, error, says, hub, files, monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    hub.refuse, hub.status = True, status
    with pytest.raises(error, match=says) as caught:
        upload(files, "me/ada", **HOW)
    assert str(caught.value).startswith("push: me/ada: ")
    assert "\n" not in str(caught.value)


def test_a_hub_that_is_not_there_is_one_line(hub, files, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    with pytest.raises(ResourceError, match=r"cannot be reached.*HF_ENDPOINT"):
        upload(files, "me/ada", **HOW)


@pytest.mark.parametrize(
    ("raised", "error", "says"),
    [
        (OfflineModeIsEnabled("off"), ResourceError, "HF_HUB_OFFLINE is set"),
        (LocalTokenNotFoundError("none"), ResourceError, "hf auth login"),
        (ValueError("bad name"), ModelError, "refuses it: bad name"),
        (HUB_ERRORS[0]("no route"), ResourceError, "cannot be reached"),
    ],
)
def test_what_the_client_raises_by_itself_is_told_too(raised, error, says):
    told = refusal(raised, "me/ada")
    assert isinstance(told, error)
    assert says in str(told)


@pytest.mark.parametrize("name", ["ada", "me/", "/ada", "me/a/b", "me/a b", "me/ä", "", "../x"])
def test_a_name_that_no_repository_has_is_a_mistake_in_the_command_line(name):
    check_repo_id("me/ada-1.0_x", "--repo_id")
    with pytest.raises(ConfigError, match=r"--repo_id: .*owner/name"):
        check_repo_id(name, "--repo_id")


def test_offline_and_without_a_token_nothing_is_begun(monkeypatch, hub):
    monkeypatch.setattr("bakery.sharing.upload.get_token", lambda: None)
    with pytest.raises(ResourceError, match=r"no token.*hf auth login"):
        check_online()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ResourceError, match="HF_HUB_OFFLINE is set"):
        check_online()
