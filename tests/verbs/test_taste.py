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
    opened = what.current.opened
    assert (host, what.folder, opened.questions, what.page_bake) == ("127.0.0.1", saved_bake, ("Hello!",), None)
    assert listening.fileno() == -1  # closed at the end


def test_host_and_port_belong_to_this_verb(place, capsys):
    assert main(["chat", "x", "--port", "1"]) == 2
    assert "belongs to the verb taste" in capsys.readouterr().err


def test_without_a_run_the_prompt_is_served_and_may_be_baked(saved_base, monkeypatch, place):
    served = []
    monkeypatch.setattr("bakery.taste.server.serve", lambda *given: served.append(given))
    words = ["--model_name_or_path", saved_base, "--system_prompt", "Say Ahoy!", "--use_cpu", "--output_dir", "out"]
    assert main(["taste", *words, "--port", "0", "-q"]) == 0
    ((what, *_),) = served
    what.worker.close()
    assert [column.key for column in what.current.opened.columns] == ["base", "prompted"]
    assert what.current.opened.prompt == ({"role": "system", "content": "Say Ahoy!"},)
    assert what.page_bake.command.overrides == tuple(words)
    assert str(what.folder) == "out"
