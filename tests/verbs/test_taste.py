"""The verb that serves the page."""

import importlib.util
import socket

import pytest

from bakery.cli import main


def test_without_its_extra_it_says_what_to_install(saved_bake, monkeypatch, capsys):
    real = importlib.util.find_spec
    monkeypatch.setattr("bakery.verbs.taste.find_spec", lambda name: None if name == "uvicorn" else real(name))
    assert main(["taste", str(saved_bake)]) == 2
    error = capsys.readouterr().err
    assert error == "bakery: error: bakery taste needs uvicorn; write pip install 'bakery-lora[taste]'\n"


@pytest.mark.parametrize("port", ["-1", "70000", "x", "8.5"])
def test_a_port_is_a_number(port, saved_bake, capsys):
    assert main(["taste", str(saved_bake), f"--port={port}"]) == 2
    assert "--port: must be a whole number up to 65535" in capsys.readouterr().err


def test_a_port_that_is_taken_is_told_before_the_model_is_loaded(saved_bake, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert main(["taste", str(saved_bake), "--port", str(other.getsockname()[1])]) == 2
    assert "give another --port" in capsys.readouterr().err


def test_the_run_is_opened_and_served(saved_bake, monkeypatch):
    served = []
    monkeypatch.setattr("bakery.taste.server.serve", lambda *given: served.append(given))
    assert main(["taste", str(saved_bake), "--port", "0", "-q"]) == 0
    ((what, listening, host, _),) = served
    what.worker.close()
    assert (host, what.folder, what.questions) == ("127.0.0.1", saved_bake, ("Hello!",))
    assert listening.fileno() == -1  # closed at the end


def test_host_and_port_belong_to_this_verb(place, capsys):
    assert main(["chat", "x", "--port", "1"]) == 2
    assert "belongs to the verb taste" in capsys.readouterr().err
