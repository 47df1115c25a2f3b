"""The page as an ASGI application: a thin layer of HTTP over a `Tasting`. Needs the extra `taste`.

GET  /            the page, and under /page/ its files
GET  /run         what was baked, and what its proof says
GET  /report      report.html of the run
POST /answers     a question; the answers as server-sent events
POST /questions   a question to be kept in the run folder
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bakery import __version__
from bakery.errors import BakeryError, DataError
from bakery.report.page import HEAT, HEAT_WORDS
from bakery.taste.conversation import Event, Tasting
from bakery.taste.gate import HEADERS, Gate
from bakery.taste.page_requests import STRONGEST, read_asked, read_conversation, read_messages
from bakery.taste.run_facts import REPORT, run_facts
from bakery.taste.saved_questions import FILE, save_question
from bakery.taste.worker import Failed, Worker

MOST_BYTES = 2**20
"""Of a request."""
MOST_JOBS = 16
"""Answers that are written at a time, all tabs together."""
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"


@dataclass(frozen=True)
class Served:
    """What is served.

    Args:
        tasting: who answers.
        folder: of the run.
        base_model: its name.
        questions: to begin with.
        worker: the thread of the model.
    """

    tasting: Tasting
    folder: Path
    base_model: str
    questions: Sequence[str]
    worker: Worker

    def page(self, request: Request) -> Response:
        """The page, or one of its files."""
        return page_file(request.path_params.get("name", "index.html"))

    def run(self, request: Request) -> Response:
        """What was baked, and what its proof says."""
        facts = asdict(run_facts(self.folder))
        about = {
            "name": self.folder.resolve().name,
            "base_model": self.base_model,
            "prompt": list(self.tasting.prompt),
            "in_parts": bool(self.tasting.chunks),
            "questions": list(self.questions),
            "heat": [{"from": low, "words": words} for low, words in zip((0.0, *HEAT), HEAT_WORDS, strict=True)],
            "strongest": STRONGEST,
            "file": FILE,
            "version": __version__,
        }
        return JSONResponse({**facts, **about})

    def report(self, request: Request) -> Response:
        """report.html of the run."""
        path = self.folder / REPORT
        if not path.is_file():
            return PlainTextResponse("this run has no report", 404)
        return FileResponse(path, media_type="text/html", headers={"content-security-policy": _REPORT_POLICY})

    async def answers(self, request: Request) -> Response:
        """The answers to a question as they grow."""
        try:
            asked = read_asked(await _json(request))
        except DataError as error:
            return PlainTextResponse(str(error), 400)
        if self.worker.busy >= MOST_JOBS:
            return PlainTextResponse("too many answers are being written; stop one, or ask again later", 503)
        events: asyncio.Queue[Event | Failed | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def deliver(event: Event | Failed | None) -> None:
            with suppress(RuntimeError):  # the server has ended, and its loop with it
                loop.call_soon_threadsafe(events.put_nowait, event)

        job = self.worker.submit(self.tasting.answers(asked), deliver)

        async def lines() -> AsyncIterator[str]:
            try:
                while (event := await events.get()) is not None:
                    yield server_sent(event)
            finally:
                job.stop()

        return StreamingResponse(lines(), media_type="text/event-stream")

    async def keep(self, request: Request) -> Response:
        """Append a question to the file of the run."""
        try:
            given = await _json(request)
            body = given if isinstance(given, dict) else {}
            prompt = None if body.get("prompt") is None else read_messages(body["prompt"], "prompt")
            count = save_question(self.folder, read_conversation(body.get("messages")), prompt)
        except BakeryError as error:
            return PlainTextResponse(str(error), 400 if isinstance(error, DataError) else 500)
        return JSONResponse({"file": str(self.folder / FILE), "questions": count})


class Guarded:
    """An application behind a gate; every response carries the headers that bind the page to this machine."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self.app, self.gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if scope["type"] != "http":
            return
        token = QueryParams(scope["query_string"]).get("token", "")
        refusal = self.gate.refusal(scope["path"], dict(Headers(scope=scope)), token)
        app = PlainTextResponse(refusal, 403) if refusal else self.app
        await app(scope, receive, send_guarded)


def taste_app(served: Served, gate: Gate) -> ASGIApp:
    """The whole application."""
    routes = [
        Route("/", served.page),
        Route("/page/{name}", served.page),
        Route("/run", served.run),
        Route("/report", served.report),
        Route("/answers", served.answers, methods=["POST"]),
        Route("/questions", served.keep, methods=["POST"]),
    ]
    return Guarded(Starlette(routes=routes), gate)


def page_file(name: str) -> Response:
    """One file of the page; the styles of the report are its styles too."""
    folder = files("bakery") if name == "page.css" else files("bakery.taste").joinpath("page")
    if name != "page.css" and name not in {file.name for file in folder.iterdir()}:
        return PlainTextResponse("there is no such file", 404)
    return Response(folder.joinpath(name).read_bytes(), media_type=TYPES[name.rpartition(".")[2]])


def server_sent(event: Event | Failed) -> str:
    """An event as a line of a stream: its name, and what it says as JSON."""
    return f"event: {type(event).__name__.lower()}\ndata: {json.dumps(_rounded(asdict(event)), ensure_ascii=False)}\n\n"


def _rounded(value: Any) -> Any:
    """With numbers as exact as they are shown."""
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


async def _json(request: Request) -> Any:
    """The body of a request.

    Raises:
        DataError: it is no JSON, or too long.
    """
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise DataError("the request must be application/json")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise DataError(f"the request is longer than {MOST_BYTES:,} bytes")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise DataError("the request is no JSON") from None
