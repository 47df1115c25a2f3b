"""The page as an ASGI application: a thin layer of HTTP over a `Tasting`. Needs the extra `taste`.

GET  /            the page, and under /page/ its files
GET  /run         what can be asked, what was baked, and what its proof says
GET  /report/N    report.html of a run
POST /answers     a question; the answers as server-sent events
POST /questions   a question to be kept in the run folder

Where nothing is baked yet, a bake can be started and followed:

GET  /bake        its state
GET  /bake/chart  its training curve as a fragment of HTML
POST /bake        begin one
POST /bake/stop   stop it
POST /command     the command that bakes the prompt as it stands on the page
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bakery import __version__
from bakery.errors import BakeryError, DataError
from bakery.evaluation.proof import NO_GAP_NATS
from bakery.report.page import HEAT, HEAT_WORDS
from bakery.taste.conversation import Event
from bakery.taste.gate import HEADERS, Gate
from bakery.taste.opening import Current, Run
from bakery.taste.page_requests import STRONGEST, read_asked, read_conversation, read_json, read_prompt
from bakery.taste.run_facts import REPORT, run_facts
from bakery.taste.saved_questions import FILE, save_question
from bakery.taste.worker import BUSY, Failed, Worker

if TYPE_CHECKING:
    from bakery.taste.page_bake import PageBake

MOST_JOBS = 16
"""Answers that are written at a time, all tabs together."""
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"


@dataclass(frozen=True)
class Served:
    """What is served.

    Args:
        current: what can be asked.
        worker: the thread of the model.
        page_bake: bakes where the page may; none: it may not.
    """

    current: Current
    worker: Worker
    page_bake: "PageBake | None" = None

    @property
    def folder(self) -> Path:
        """Where questions are kept: in the first run, or where the next bake goes."""
        runs = self.current.opened.runs
        return runs[0].folder if runs or self.page_bake is None else self.page_bake.command.folder()

    def close(self) -> None:
        """Stop all that is being written or baked, and wait for it."""
        if self.page_bake is not None:
            self.page_bake.stop()
        self.worker.close()

    def page(self, request: Request) -> Response:
        """The page, or one of its files."""
        return page_file(request.path_params.get("name", "index.html"))

    def run(self, request: Request) -> Response:
        """What can be asked, and what its proof says."""
        opened = self.current.opened
        return JSONResponse(
            {
                "base_model": opened.base_model,
                "prompt": list(opened.prompt),
                "in_parts": opened.in_parts,
                "columns": [{"key": one.key, "name": one.name, "baked": one.baked} for one in opened.columns],
                "runs": [_about(run) for run in opened.runs],
                "bakes": self.page_bake is not None,
                "questions": list(opened.questions),
                "heat": [{"from": low, "words": words} for low, words in zip((0.0, *HEAT), HEAT_WORDS, strict=True)],
                "least_gap": NO_GAP_NATS,
                "strongest": STRONGEST,
                "file": FILE,
                "version": __version__,
            }
        )

    def report(self, request: Request) -> Response:
        """report.html of a run."""
        runs, number = self.current.opened.runs, request.path_params["number"]
        path = runs[number].folder / REPORT if number < len(runs) else None
        if path is None or not path.is_file():
            return PlainTextResponse("this run has no report", 404)
        return FileResponse(path, media_type="text/html", headers={"content-security-policy": _REPORT_POLICY})

    async def answers(self, request: Request) -> Response:
        """The answers to a question as they grow."""
        opened = self.current.opened
        try:
            asked = read_asked(await read_json(request), [column.key for column in opened.columns])
        except DataError as error:
            return PlainTextResponse(str(error), 400)
        if opened.tasting is None:
            return PlainTextResponse(BUSY.reason, 503)
        if self.worker.busy >= MOST_JOBS:
            return PlainTextResponse("too many answers are being written; stop one, or ask again later", 503)
        events: asyncio.Queue[Event | Failed | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def deliver(event: Event | Failed | None) -> None:
            with suppress(RuntimeError):  # the server has ended, and its loop with it
                loop.call_soon_threadsafe(events.put_nowait, event)

        job = self.worker.submit(opened.tasting.answers(asked), deliver)

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
            body, folder = await read_json(request), self.folder
            prompt = read_prompt(body)
            count = save_question(folder, read_conversation(body.get("messages")), prompt)
        except BakeryError as error:
            return PlainTextResponse(str(error), 400 if isinstance(error, DataError) else 500)
        return JSONResponse({"file": str(folder / FILE), "questions": count})


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
    routes: list[BaseRoute] = [
        Route("/", served.page),
        Route("/page/{name}", served.page),
        Route("/run", served.run),
        Route("/report/{number:int}", served.report),
        Route("/answers", served.answers, methods=["POST"]),
        Route("/questions", served.keep, methods=["POST"]),
    ]
    if served.page_bake is not None:
        from bakery.taste.bake_routes import bake_routes  # which imports all that a bake needs

        routes += bake_routes(served.page_bake)
    return Guarded(Starlette(routes=routes), gate)


def page_file(name: str) -> Response:
    """One file of the page; the styles of the report are its styles too."""
    folder = files("bakery") if name == "page.css" else files("bakery.taste").joinpath("page")
    if name != "page.css" and name not in {file.name for file in folder.iterdir()}:
        return PlainTextResponse("there is no such file", 404)
    return Response(folder.joinpath(name).read_bytes(), media_type=TYPES[name.rpartition(".")[2]])


def _about(run: Run) -> dict[str, Any]:
    return {
        "name": run.name,
        "folder": str(run.folder),
        "same_prompt": run.same_prompt,
        **asdict(run_facts(run.folder)),
    }


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
