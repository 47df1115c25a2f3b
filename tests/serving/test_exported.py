"""An export is asked in the server that takes it: told what it said, or why it was not asked."""

import json
from dataclasses import replace

import pytest

from bakery.errors import ModelError
from bakery.export import run_export
from bakery.exporting.request import ExportRequest
from tests.exporting.conftest import run_folder  # noqa: F401
from tests.exporting.support import QUIET, settings_of, stand_in_llama_cpp
from tests.serving.fake_vllm import pretending_python


def exported(run, request):
    return run_export(settings_of(run), run, request, progress=QUIET)


@pytest.mark.parametrize("form", ["merged", "adapter"])
def test_vllm_is_started_with_the_export_and_asked(form, run_folder, tmp_path):  # noqa: F811
    python = str(pretending_python(tmp_path))
    result = exported(run_folder, ExportRequest(form, 0.5, "float32", tmp_path / "out", python=python))
    assert (result.server.server, result.not_run) == ("vLLM", None)
    assert (result.server.answers.equal_by_ids, result.server.answers.equal_as_text) == (4, 4)
    assert result.server.answers.largest_difference < 1e-3
    assert result.server.text.same_tokens == 4
    words = (tmp_path / "words").read_text()
    assert ("--lora-modules baked=" in words) == (form == "adapter")
    assert "--dtype float32" in words
    assert json.loads((tmp_path / "out" / "export.json").read_text())["server"]["answers"]["equal_by_ids"] == 4
    assert "in vLLM's server" in (tmp_path / "out" / "README.md").read_text()


def test_a_server_that_is_not_there_is_named_as_missing(run_folder, tmp_path):  # noqa: F811
    request = ExportRequest("adapter", output_dir=tmp_path / "out")
    result = exported(run_folder, request)
    assert result.server is None
    assert result.not_run == "vLLM: not installed here; give the Python of its environment with --python"
    llama_cpp = stand_in_llama_cpp(tmp_path / "cpp")
    result = exported(run_folder, replace(request, to="gguf-adapter", llama_cpp=llama_cpp, overwrite=True))
    assert "adapter.gguf itself: " in result.not_run
    assert not (tmp_path / "out" / "base.gguf").exists()


def test_beside_a_built_server_the_base_is_converted_and_a_failing_server_leaves_nothing(run_folder, tmp_path):  # noqa: F811
    llama_cpp = stand_in_llama_cpp(tmp_path / "cpp")
    server = llama_cpp / "llama-server"
    server.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/words\necho unknown architecture\nexit 1\n')
    server.chmod(0o755)
    request = ExportRequest("gguf-adapter", output_dir=tmp_path / "out", llama_cpp=llama_cpp)
    with pytest.raises(ModelError, match="ended with 1: unknown architecture"):
        exported(run_folder, request)
    words = (tmp_path / "words").read_text()
    assert "base.gguf" in words
    assert "--lora" in words
    assert "--flash-attn off" in words, "all of it in float32 is compared in float32"
    assert not (tmp_path / "out").exists()
