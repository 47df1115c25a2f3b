"""`bakery taste`: the page served on this machine until Ctrl-C. Needs the extra `taste`."""

import socket
from contextlib import closing, suppress

import uvicorn

from bakery.progress import Progress
from bakery.taste.address import address
from bakery.taste.app import Served, taste_app
from bakery.taste.gate import Gate, gate_of


def serve(served: Served, listening: socket.socket, host: str, progress: Progress) -> None:
    """Serve the page until the process is interrupted."""
    port = listening.getsockname()[1]
    gate = gate_of(host, port)
    print(address(host, port, gate.token), flush=True)
    progress.say("  open this address in a browser; Ctrl-C ends it")
    with suppress(KeyboardInterrupt), closing(served):
        server_of(served, gate).run(sockets=[listening])


def server_of(served: Served, gate: Gate) -> uvicorn.Server:
    """The server, which nothing runs yet."""
    return uvicorn.Server(
        uvicorn.Config(
            taste_app(served, gate),
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            http="h11",
            loop="asyncio",
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )
