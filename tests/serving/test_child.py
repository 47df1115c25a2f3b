"""A server is waited for, its last lines are told when it dies, and nothing of it outlives the block."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from bakery.errors import ConfigError, ModelError, ResourceError
from bakery.serving.child import free_port, running, stay, wait_until_healthy
from tests.processes import is_running, wait_for

SERVER = """\
import subprocess, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Handler.asked += 1
        self.send_response(200 if Handler.asked > 2 else 503)
        self.end_headers()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("child", child.pid, flush=True)
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def python(source, *words):
    return [sys.executable, "-c", source, *map(str, words)]


def child_in(log):
    wait_for(lambda: log.is_file() and log.read_text().startswith("child") and log.read_text().endswith("\n"))
    return int(log.read_text().split()[1])


@pytest.fixture
def log(tmp_path):
    return tmp_path / "serve" / "server.log"


def test_a_server_is_waited_for_and_ended_with_its_own_children(log):
    port = free_port("127.0.0.1", None, 0)
    with running(python(SERVER, port), log) as process:
        assert wait_until_healthy(process, f"http://127.0.0.1:{port}", 30, log) > 0
        child = child_in(log)
        assert is_running(child)
    assert process.returncode == -signal.SIGTERM
    assert not is_running(child)


def test_a_server_that_dies_at_once_says_its_last_lines(log):
    dying = python("import sys; print('\\n'.join(f'line {n}' for n in range(50))); sys.exit('no such model')")
    with running(dying, log) as process, pytest.raises(ModelError) as caught:
        wait_until_healthy(process, "http://127.0.0.1:1", 30, log)
    assert "ended with 1: " in str(caught.value)
    assert "no such model" in str(caught.value)
    assert "line 49" in str(caught.value)
    assert "line 9 " not in str(caught.value)
    assert str(log) in str(caught.value)


def test_a_server_that_is_not_ready_in_time_is_ended(log):
    late = pytest.raises(ResourceError, match=r"not ready after 0\.3 s.*--timeout")
    with running(python("import time; time.sleep(60)"), log) as process, late:
        wait_until_healthy(process, "http://127.0.0.1:1", 0.3, log)
    assert process.returncode == -signal.SIGTERM


def test_one_that_does_not_listen_is_killed(log):
    with running(python(STUBBORN), log, grace=0.5) as process:
        wait_for(lambda: log.read_text() == "up\n")
    assert process.returncode == -signal.SIGKILL


def test_a_second_ctrl_c_kills_it_at_once(log, monkeypatch):
    processes = []

    def serve():
        with running(python(STUBBORN), log, grace=60) as process:
            wait_for(lambda: log.read_text() == "up\n")
            processes.append(process)
            monkeypatch.setattr(process, "wait", interrupted)

    def interrupted(*_):
        monkeypatch.undo()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        serve()
    assert processes[0].returncode == -signal.SIGKILL


@pytest.mark.parametrize("when", ["telling", "waiting"])
def test_while_it_stays_its_end_is_told_and_ctrl_c_returns(log, monkeypatch, when):
    with running(python("print('out of memory')"), log) as process, pytest.raises(ModelError, match="out of memory"):
        stay(process, log, lambda: None)
    with running(python("import time; time.sleep(60)"), log) as process:

        def interrupted(*_):
            monkeypatch.undo()
            raise KeyboardInterrupt

        monkeypatch.setattr(process, "wait", interrupted)
        stay(process, log, interrupted if when == "telling" else lambda: None)
        assert process.poll() is None
    assert process.returncode == -signal.SIGTERM


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_a_signal_to_this_process_ends_the_server_too(number, code, log, tmp_path):
    parent = textwrap.dedent(
        """\
        import sys, time
        from pathlib import Path
        from bakery.serving.child import running
        try:
            with running([sys.executable, *sys.argv[2:]], Path(sys.argv[1])):
                time.sleep(60)
        except KeyboardInterrupt:
            sys.exit(130)
        """
    )
    port = free_port("127.0.0.1", None, 0)
    process = subprocess.Popen(python(parent, log, "-c", SERVER, port), env={**os.environ})
    child = child_in(log)
    process.send_signal(number)
    assert process.wait(30) == code
    wait_for(lambda: not is_running(child))


def test_what_cannot_be_run_or_written_is_one_line(log, tmp_path):
    with pytest.raises(ConfigError, match="cannot be run"), running([str(tmp_path / "missing")], log):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match="cannot be written"), running(python(""), tmp_path / "file" / "log"):
        pass


def test_a_port_that_is_taken_is_refused_where_it_was_asked_for():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert free_port("127.0.0.1", None, port) not in (0, port)
        with pytest.raises(ConfigError, match=f"--port: {port} on 127.0.0.1 cannot be used"):
            free_port("127.0.0.1", port, 0)
