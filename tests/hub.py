"""A stand-in for a model hub on the loopback: it creates repositories and takes commits, and keeps what it was sent."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Hub:
    """What arrived: by repository the files' bytes and the messages of all commits."""

    url: str = ""
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    revisions: list[str] = field(default_factory=list)
    private: dict[str, bool | None] = field(default_factory=dict)
    refuse: bool = False
    status: int = 403


@contextmanager
def stand_in() -> Iterator[Hub]:
    """Runs while the block does."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or self._chunks()
            status, answer = _answer(hub, self.path.partition("?")[0], body)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            name = self.path.removeprefix("/api/models/").partition("?")[0]
            if name not in hub.files:
                self.send_error(404)
                return
            data = json.dumps({"id": name, "private": bool(hub.private[name]), "tags": [], "siblings": []}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_HEAD(self) -> None:
            self.send_error(404)

        def _chunks(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return b""
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def _answer(hub: Hub, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
    if hub.refuse:
        return hub.status, {"error": "no"}
    if path == "/api/repos/create":
        wanted = json.loads(body)
        name = f"{wanted.get('organization') or 'somebody'}/{wanted['name']}"
        hub.files.setdefault(name, {})
        hub.private.setdefault(
            name, wanted["private"] if "private" in wanted else {"private": True}.get(wanted.get("visibility"))
        )
        return 200, {"url": f"{hub.url}/{name}", "id": name}
    if path == "/api/validate-yaml":
        return 200, {"errors": [], "warnings": []}
    _, _, _, owner, name, what, revision = path.split("/")
    repository = f"{owner}/{name}"
    if what == "branch":
        return 200, {}
    if what == "preupload":
        files = json.loads(body)["files"]
        return 200, {
            "files": [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in files]
        }
    for line in body.splitlines():
        item = json.loads(line)
        if item["key"] == "header":
            hub.commits.append(item["value"]["summary"])
            hub.revisions.append(revision)
        elif item["key"] == "file":
            hub.files[repository][item["value"]["path"]] = base64.b64decode(item["value"]["content"])
    return 200, {"commitUrl": f"{hub.url}/{repository}/commit/1", "commitOid": "1" * 40, "hookOutput": ""}
