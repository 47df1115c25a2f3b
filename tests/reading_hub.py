"""A stand-in for the hub on the loopback, from which a model and a data set are read, with the faults of real ones."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from bakery.settings.hub import only_cached

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ANSWERS = {"gated": (401, "GatedRepo"), "denied": (403, "GatedRepo"), "missing": (404, "RepoNotFound"),
           "private": (401, "RepoNotFound"), "limited": (429, ""), "failing": (503, "")}  # fmt: skip
"""Faults that are an answer: status and the hub's own code for it."""


@dataclass
class ReadingHub:
    """What is there to be read, and how it goes wrong.

    `fault`: a name of `ANSWERS`, or `silent` (no answer at all), `drip` (an answer of one byte a second), `cut` (each
    download of the file `broken` ends in its middle, `times` times), `stalled` (it stops there, the connection open),
    `torn` (half of the file is passed on for the whole), `other` (other bytes, as many).
    """

    url: str = ""
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """By repository (`owner/name`, `datasets/owner/name`) the files."""
    fault: str = ""
    broken: str = "model.safetensors"
    times: int = 1_000_000
    asked: list[str] = field(default_factory=list)
    """Method and path of each request."""
    gone: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: ReadingHub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer()

    def _answer(self) -> None:
        hub, path = self.hub, self.path.partition("?")[0]
        hub.asked.append(f"{self.command} {path}")
        if hub.fault == "silent":
            hub.gone.wait()
        elif hub.fault == "drip":
            self._drip(b"HTTP/1.1 200 OK\r\nX-Repo-Commit: " + COMMIT.encode() + b"\r\n\r\n")
        elif hub.fault in ANSWERS:
            self._send(*ANSWERS[hub.fault])
        elif path.startswith("/api/"):
            self._tell(path.removeprefix("/api/").removeprefix("models/"))
        else:
            repository, _, rest = path[1:].partition("/resolve/")
            self._send_file(repository, rest.partition("/")[2])

    def _tell(self, path: str) -> None:
        """What the hub's API says of a repository: its description, or the list of its files."""
        repository = next((name for name in self.hub.files if path == name or path.startswith(f"{name}/")), None)
        if repository is None:
            self._send(404, "RepoNotFound")
            return
        files = self.hub.files[repository]
        told: Any = {"id": repository.removeprefix("datasets/"), "sha": COMMIT, "private": False, "gated": False,
                     "tags": [], "siblings": [{"rfilename": name} for name in files]}  # fmt: skip
        if path != repository and not path.startswith(f"{repository}/revision/"):
            told = [
                {"type": "file", "path": name, "size": len(content), "oid": _etag(content)}
                for name, content in files.items()
            ]
        self._send(200, "", json.dumps(told).encode())

    def _send_file(self, repository: str, name: str) -> None:
        hub, files = self.hub, self.hub.files.get(repository)
        if files is None or name not in files:
            self._send(404, "RepoNotFound" if files is None else "EntryNotFound")
            return
        content = files[name]
        is_broken = name == hub.broken and self.command == "GET" and hub.times > 0
        if is_broken and hub.fault == "torn":
            self._send(200, "", content[: len(content) // 2], _etag(content))
        elif is_broken and hub.fault == "other":
            self._send(200, "", bytes(len(content)), _etag(content))
        elif is_broken and hub.fault in ("cut", "stalled"):
            hub.times -= 1
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self._send_names(_etag(content))
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            if hub.fault == "stalled":
                hub.gone.wait()
            self.close_connection = True
        else:
            self._send(200, "", content, _etag(content))

    def _send(self, status: int, code: str = "", body: bytes = b"", etag: str = "") -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self._send_names(etag)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send_names(self, etag: str) -> None:
        """The last headers: which commit and which content this is."""
        self.send_header("X-Repo-Commit", COMMIT)
        if etag:
            self.send_header("ETag", f'"{etag}"')
        self.end_headers()

    def _drip(self, answer: bytes) -> None:
        with suppress(ConnectionError):  # whoever asked does not wait
            for byte in answer:
                if self.hub.gone.wait(1):
                    return
                self.wfile.write(bytes([byte]))
                self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


def address_of_hub(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Let the client of this process ask there, and what it was told before be forgotten."""
    only_cached.cache_clear()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
    template = f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)


def _etag(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def reading_hub(files: dict[str, dict[str, bytes]]) -> Iterator[ReadingHub]:
    """Runs while the block does."""
    hub = ReadingHub(files=files)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        hub.gone.set()
        server.shutdown()
        server.server_close()
