"""What is to be served is checked before anything starts: one base, the engine, for llama.cpp what exports wrote."""

import hashlib
import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.errors import ConfigError
from bakery.serving.planning import ServeRequest, plan_server
from tests.exporting.conftest import run_folder  # noqa: F401
from tests.exporting.support import make_run, settings_of
from tests.serving.fake_vllm import pretending_python


def planned(folders, request=None, *, must_run=False, changes=None):
    settings = [settings_of(folder) for folder in folders]
    for number, change in (changes or {}).items():
        settings[number] = change(settings[number])
    return plan_server(settings, [str(folder) for folder in folders], request or ServeRequest(), must_run=must_run)


def test_the_command_has_base_name_number_format_template_and_variables(run_folder, saved_base):  # noqa: F811
    def with_variables(settings):
        return replace(settings, context=replace(settings.context, chat_template_kwargs={"enable_thinking": False}))

    plan = planned([run_folder], changes={0: with_variables})
    words = " ".join(plan.command)
    for part in (
        f"python -m vllm.entrypoints.openai.api_server --model {saved_base}",
        f"--served-model-name {Path(saved_base).name} ",
        f"--lora-modules plain={run_folder} --max-lora-rank 8 --dtype float32",
        f"--chat-template {run_folder}/chat_template.jinja",
        "--port 8000",
    ):
        assert part in words
    assert plan.serving.template_variables == {"enable_thinking": False}
    assert plan.strengths == (1.0,)
    assert shlex.split(shlex.join(plan.command)) == list(plan.command)


def test_variables_that_differ_are_left_to_requests(run_folder, saved_base, tmp_path):  # noqa: F811
    def with_variables(settings):
        return replace(settings, context=replace(settings.context, chat_template_kwargs={"enable_thinking": False}))

    other = make_run(tmp_path / "other", saved_base)
    assert planned([run_folder, other], changes={1: with_variables}).serving.template_variables == {}


def test_an_adapter_with_the_name_of_the_base_is_told_from_it(saved_base, tmp_path):
    run = make_run(tmp_path / Path(saved_base).name, saved_base)
    plan = planned([run])
    assert plan.serving.name == saved_base != plan.serving.adapters[0].name


def test_runs_of_two_bases_are_refused(run_folder, saved_base, tmp_path):  # noqa: F811
    def of_starter(settings):
        return replace(settings, model=replace(settings.model, model_name_or_path="starter"))

    other = make_run(tmp_path / "other", saved_base)
    with pytest.raises(ConfigError, match=r"other belongs to the base .*starter, .*one server has one base"):
        planned([run_folder, other], changes={1: of_starter})


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (ServeRequest(engine="vlm"), "did you mean vllm"),
        (ServeRequest(engine="sglang"), "allowed are vllm and llama"),
        (ServeRequest(engine="llama", dtype="float32"), "--dtype: is for --engine vllm"),
        (ServeRequest(engine="llama", python="python"), "--python: is for --engine vllm"),
        (ServeRequest(llama_cpp=Path()), "--llama_cpp: is for --engine llama"),
        (ServeRequest(), "has no vLLM; give the Python of an environment that has it, or --print"),
        (
            ServeRequest(engine="llama"),
            r"has no adapter.gguf; write bakery export .* --to gguf-adapter --llama_cpp DIR",
        ),
    ],
)
def test_what_cannot_be_started_is_refused_in_one_line(request_, says, run_folder):  # noqa: F811
    with pytest.raises(ConfigError, match=says):
        planned([run_folder], request_, must_run=True)


def test_the_engine_is_the_python_that_was_given(run_folder, tmp_path):  # noqa: F811
    program = str(pretending_python(tmp_path))
    assert planned([run_folder], ServeRequest(python=program), must_run=True).command[0] == program


def exported(run, strength):
    """The files of an export to GGUF, as far as a plan looks at them."""
    folder = run / "export" / "gguf-adapter"
    folder.mkdir(parents=True)
    for name in ("adapter.gguf", "base.gguf"):
        (folder / name).touch()
    sha256 = hashlib.sha256((run / "adapter_model.safetensors").read_bytes()).hexdigest()
    (folder / "export.json").write_text(json.dumps({"strength": strength, "adapter_sha256": sha256}))
    return folder


def test_llama_gets_the_files_of_exports_at_their_strengths(saved_base, tmp_path):
    runs = [make_run(tmp_path / name, saved_base) for name in ("one", "two")]
    folders = [exported(run, strength) for run, strength in zip(runs, (1.0, 0.5), strict=True)]
    plan = planned(runs, ServeRequest(engine="llama"))
    assert plan.strengths == (1.0, 0.5)
    assert plan.command[:3] == ("llama-server", "--model", f"{folders[0]}/base.gguf")
    assert f"--lora {folders[0]}/adapter.gguf --lora {folders[1]}/adapter.gguf" in " ".join(plan.command)
    with pytest.raises(ConfigError, match="has no llama-server; build it"):
        planned(runs, ServeRequest(engine="llama", llama_cpp=tmp_path), must_run=True)
    with (runs[1] / "adapter_model.safetensors").open("ab") as weights:
        weights.write(b" ")
    with pytest.raises(ConfigError, match=r"two/.* was made from another adapter.*--overwrite"):
        planned(runs, ServeRequest(engine="llama"))
