"""The real server: a connection that is dropped stops its answer, and a server that ends lets go of everything."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.taste.conftest import COLUMNS, running

ASKED = {
    "messages": {column: [{"role": "user", "content": "Tell me a long story."}] for column in COLUMNS},
    "max_new_tokens": 2048,
    "temperature": 2.0,
}


def connection(address):
    return http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)


@contextmanager
def asked(address, **changes):
    """The answer to a question, as it begins; the connection is closed at the end."""
    own = connection(address)
    own.request("POST", "/answers", json.dumps({**ASKED, **changes}), {"content-type": "application/json"})
    response = own.getresponse()
    try:
        assert response.status == 200
        response.read(200)
        yield response
    finally:
        response.close()
        own.close()


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_dropped_connection_stops_its_answer(page, served):
    with asked(page):
        wait_for(lambda: served.worker.busy == 1)
    wait_for(lambda: served.worker.busy == 0)


def test_two_questions_are_answered_at_a_time(page, served):
    with asked(page):
        with asked(page, max_new_tokens=2, temperature=0) as quick:
            assert quick.read().decode().count("event: ended") == 3
        assert served.worker.busy >= 1  # the long answer goes on
    wait_for(lambda: served.worker.busy == 0)


def test_a_server_that_ends_stops_what_it_writes(served):
    with running(served) as (address, end), asked(address):
        end()
        wait_for(lambda: served.worker.busy == 0)


def test_the_token_is_asked_for_where_others_reach_the_server(served):
    with running(served, "0.0.0.0") as (address, _):
        own = connection(address)
        for query, status in (("", 403), (urlsplit(address).query, 200)):
            own.request("GET", f"/?{query}")
            response = own.getresponse()
            response.read()
            assert response.status == status
        own.close()


def test_the_command_serves_until_it_is_interrupted(bake):
    _, folder = bake
    command = [sys.executable, "-W", "ignore", "-m", "bakery", "taste", str(folder), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), process.stderr.read()
        own = connection(address)
        own.request("GET", "/run")
        assert json.load(own.getresponse())["questions"]
        own.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0
        assert "Traceback" not in process.stderr.read()
