"""Starting, following and stopping a bake over HTTP. Needs the extra `taste`."""

from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from bakery.errors import BakeryError
from bakery.report.page import training_chart
from bakery.taste.page_bake import PageBake
from bakery.taste.page_requests import read_followed, read_json, read_prompt


def bake_routes(page_bake: PageBake) -> list[Route]:
    """The routes of a page that may bake."""

    def state(request: Request) -> Response:
        return JSONResponse(asdict(page_bake.record.state))

    def chart(request: Request) -> Response:
        return HTMLResponse(training_chart(page_bake.record.state.curve))

    async def begin(request: Request) -> Response:
        try:
            body = await read_json(request)
            page_bake.start(read_prompt(body), read_followed(body))
        except BakeryError as error:
            return _refused(error)
        return state(request)

    async def stop(request: Request) -> Response:
        try:
            await read_json(request)
        except BakeryError as error:
            return _refused(error)
        page_bake.stop()
        return state(request)

    async def command(request: Request) -> Response:
        try:
            words, folder = page_bake.command_for(read_prompt(await read_json(request)))
        except BakeryError as error:
            return _refused(error)
        return JSONResponse({"command": words.line, "folder": str(folder)})

    posted: dict[str, Any] = {"methods": ["POST"]}
    return [
        Route("/bake", begin, **posted),
        Route("/bake", state),
        Route("/bake/chart", chart),
        Route("/bake/stop", stop, **posted),
        Route("/command", command, **posted),
    ]


def _refused(error: BakeryError) -> Response:
    return PlainTextResponse(" ".join(str(error).split()), 400)
