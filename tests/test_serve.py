"""A server started with runs, asked over HTTP, told about in words and left running; one that stands in for vLLM."""

import ast
import json
import os
import shlex
import signal
import subprocess
import sys

import pytest

from bakery import serve
from bakery.errors import ModelError
from bakery.serve import run_serve
from bakery.serving.json_http import post
from bakery.serving.planning import ServeRequest
from tests.exporting.conftest import run_folder  # noqa: F401
from tests.exporting.support import QUIET, make_run, settings_of
from tests.processes import is_running, wait_for
from tests.serving.fake_vllm import pretending_python


def test_two_runs_are_asked_by_name_told_in_words_and_served_until_ctrl_c(
    run_folder,  # noqa: F811
    saved_base,
    tmp_path,
    monkeypatch,
):
    other = make_run(tmp_path / "other", saved_base, r=2)
    request = ServeRequest(python=str(pretending_python(tmp_path)), dtype="float32", more=("--max-loras", "3"))
    said, processes = [], []

    def stay_and_ask(process, log, tell):
        tell()
        processes.append(process)
        snippet = said[-2]
        curl, python = snippet.strip().split("\n\n", 1)
        program, address, *_, body = shlex.split(curl)
        assert program == "curl"
        assert post(address, json.loads(body))["choices"][0]["message"]["content"]
        ast.parse(python)

    monkeypatch.setattr(serve, "stay", stay_and_ask)
    folders = [str(run_folder), str(other)]
    run_serve([settings_of(run_folder), settings_of(other)], folders, request, progress=QUIET, say=said.append)
    assert processes[0].poll() is not None, "nothing outlives the command"
    first, second = said[:2]
    for line, name in ((first, "plain"), (second, "other")):
        assert line.startswith(f"{name}: 4 of 4 answers are equal to transformers' (float32) by token ids, 4 as text; ")
        assert float(line.rpartition(" ")[2]) < 1e-3
    words = (tmp_path / "words").read_text().split()
    assert words[:2] == ["-m", "vllm.entrypoints.openai.api_server"]
    assert words[words.index("--max-lora-rank") + 1] == "8"
    assert said[-1].startswith("serving at http://127.0.0.1:")
    assert (run_folder / "serve" / "server.log").is_file()


def test_what_an_adapter_saves_is_measured_told_and_written(run_folder, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(serve, "AT_ONCE", (1,))
    said = []
    request = ServeRequest(python=str(pretending_python(tmp_path)), dtype="float32", bench=True)
    run_serve([settings_of(run_folder)], [str(run_folder)], request, progress=QUIET, say=said.append)
    figures = json.loads((run_folder / "serve" / "bench.json").read_text())
    (row,) = figures["measured"]
    assert row["prompted"]["prompt_tokens"] > row["baked"]["prompt_tokens"]
    assert (figures["engine"], figures["dtype"], figures["questions"]) == ("vLLM", "float32", 4)
    assert f"{row['baked']['ratio']:.2f}" in said[-1]
    assert str(run_folder / "serve" / "bench.json") in said[-1]


def test_a_server_that_dies_leaves_its_last_words(run_folder, tmp_path):  # noqa: F811
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\nif [ "$1" = -c ]; then exit 0; fi\necho LoRA rank 64 is too great\nexit 3\n')
    program.chmod(0o755)
    request = ServeRequest(python=str(program))
    with pytest.raises(ModelError, match="ended with 3: LoRA rank 64"):
        run_serve([settings_of(run_folder)], [str(run_folder)], request, progress=QUIET, say=lambda _: None)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGKILL, -signal.SIGKILL)])
def test_the_command_leaves_no_server_however_it_ends(number, code, run_folder, tmp_path):  # noqa: F811
    python = pretending_python(tmp_path)
    python.write_text(python.read_text().replace("shift 2", f"shift 2\nsleep 300 &\necho $$ $! > {tmp_path}/ids"))
    words = ["-m", "bakery", "serve", str(run_folder), "--python", str(python), "--torch_dtype", "float32", "-q"]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    command = subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True, env=environment)
    assert any(line.startswith("serving at ") for line in command.stdout)
    server, beside_it = map(int, (tmp_path / "ids").read_text().split())
    assert is_running(server)
    command.send_signal(number)
    assert command.wait(120) == code
    wait_for(lambda: not is_running(server) and not is_running(beside_it))
    command.stdout.close()
