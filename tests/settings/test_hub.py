"""A hub that gives nothing is told apart from all other failures: by one short question, and through what wraps it."""

import logging
import socket
import threading
import time

import pytest
from httpx2 import ReadTimeout, Request, Response
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

from bakery.errors import ModelError
from bakery.settings.hub import only_cached, refusal, unreachable
from tests.reading_hub import ANSWERS, address_of_hub, reading_hub

CLOSED = "http://127.0.0.1:9"
FILES = {"owner/tiny": {"config.json": b"{}"}, "datasets/owner/rows": {"train.jsonl": b""}}


@pytest.fixture
def hub(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with reading_hub(FILES) as hub:
        address_of_hub(monkeypatch, hub.url)
        yield hub
    only_cached.cache_clear()


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
        (HfHubHTTPError, 401, "ask for it on the page there"),
        (RepositoryNotFoundError, 404, "look for a slip"),
        (RepositoryNotFoundError, 401, "look for a slip"),
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


def test_a_download_that_broke_off_is_laid_to_the_connection():
    error = wrapped(ReadTimeout("The read operation timed out"))
    assert unreachable(error) == "the connection to the hub failed (The read operation timed out; try again)"


def test_a_file_that_is_shorter_than_promised_is_laid_to_the_connection():
    error = wrapped(OSError("Consistency check failed: file should be of size 8 but has size 4 (a).\nThis is"))
    assert unreachable(error).startswith("the connection to the hub failed (Consistency check failed: file should be")
    assert "\n" not in unreachable(error)


@pytest.mark.parametrize("kind", ["model", "dataset"])
@pytest.mark.parametrize("fault", ANSWERS)
def test_the_hub_is_asked_once_and_its_answer_is_told(hub, fault, kind):
    hub.fault = fault
    said = refusal("owner/tiny", kind)
    assert f"({ANSWERS[fault][0]}; " in said
    assert len([line for line in hub.asked if line.startswith("HEAD ")]) == 1


def test_what_the_hub_gives_is_not_refused(hub):
    assert refusal("owner/tiny") is None
    assert refusal("owner/rows", "dataset") is None, "a data set without a README can be read too"
    assert "look for a slip" in refusal("owner/other")
    assert refusal("no name of a repository") is None, "loading it says why"


def test_a_folder_and_offline_mode_ask_nobody(hub, tmp_path, monkeypatch):
    assert refusal(str(tmp_path)) is None
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert refusal("owner/tiny") is None
    assert hub.asked == []


@pytest.mark.parametrize("fault", ["silent", "drip", "address"])
def test_an_answer_is_waited_for_for_a_bounded_time(hub, fault, monkeypatch):
    asked, done = [], threading.Event()

    def look_up(*_, **__):
        asked.append(1)
        done.wait(60)
        raise socket.gaierror("the name server gave no answer")

    if fault == "address":
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
    hub.fault = fault
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_ETAG_TIMEOUT", 0.5)
    started = time.monotonic()
    assert "no answer within 0.5 s" in refusal("owner/tiny")
    assert time.monotonic() - started < 5
    assert bool(asked) == (fault == "address")
    done.set()


def test_a_model_that_is_here_is_read_from_the_cache_while_the_hub_is_gone(hub, monkeypatch, caplog):
    from huggingface_hub import hf_hub_download

    hf_hub_download("owner/tiny", "config.json")
    assert not only_cached("owner/tiny")
    only_cached.cache_clear()
    address_of_hub(monkeypatch, CLOSED)
    with caplog.at_level(logging.WARNING, logger="bakery.settings.hub"):
        assert only_cached("owner/tiny")
        assert only_cached("owner/tiny")
    (said,) = caplog.messages
    assert said.startswith("owner/tiny: the connection to the hub failed (")
    assert said.endswith("; the copy in the cache is used")


def test_a_model_that_is_nowhere_is_refused_and_asked_for_again_afterwards(hub, monkeypatch):
    address_of_hub(monkeypatch, CLOSED)
    says = "^owner/tiny: the model is not in the cache, and .*; give a local folder, or starter, "
    with pytest.raises(ModelError, match=says):
        only_cached("owner/tiny")
    address_of_hub(monkeypatch, hub.url)
    assert not only_cached("owner/tiny")
