"""The commands hold what was asked for, each option once, whatever the names; and programs are looked for."""

import json
import shlex
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakery.errors import ConfigError
from bakery.exporting.request import VLLM_RANKS
from bakery.serving.adapters import ServedAdapter
from bakery.serving.commands import Serving, find_llama_server, find_vllm, llama_command, vllm_command

NAMES = st.lists(
    st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1),
    min_size=1,
    max_size=3,
    unique=True,
)


def value(command, option):
    """What follows an option that is there once."""
    assert command.count(option) == 1
    return command[command.index(option) + 1]


def as_vllm_reads(module):
    """A name and a path, in one of the two ways in which vLLM's command line takes them apart."""
    if "=" in module and "," not in module:
        return tuple(module.split("=", 1))
    read = json.loads(module)
    return read["name"], read["path"]


@given(NAMES, st.integers(1, 512), st.sampled_from(["float32", "bfloat16"]), st.booleans())
def test_vllm_is_told_all_and_reads_the_names_as_they_are(names, rank, dtype, trusted):
    adapters = tuple(ServedAdapter(name, Path("/runs") / name, rank) for name in names)
    variables = {"enable_thinking": False}
    serving = Serving("a/base", "a/base", adapters, dtype, port=8123, template_variables=variables,
                      trust_remote_code=trusted, more=("--seed", "1"))  # fmt: skip
    command = vllm_command("python", serving)
    assert shlex.split(shlex.join(command)) == command
    assert value(command, "--model") == value(command, "--served-model-name") == "a/base"
    begin = command.index("--lora-modules") + 1
    modules = [as_vllm_reads(module) for module in command[begin : begin + len(names)]]
    assert modules == [(adapter.name, str(adapter.folder)) for adapter in adapters]
    assert command[begin + len(names)] == "--max-lora-rank"
    assert VLLM_RANKS.index(int(value(command, "--max-lora-rank"))) == sum(one < rank for one in VLLM_RANKS)
    assert (value(command, "--dtype"), value(command, "--generation-config")) == (dtype, "vllm")
    assert json.loads(value(command, "--default-chat-template-kwargs")) == variables
    assert ("--trust-remote-code" in command) == trusted
    assert (value(command, "--port"), command[-2:]) == ("8123", ["--seed", "1"])
    assert ("--max-loras" in command) == (len(names) > 1)


def test_a_model_without_adapters_is_served_without_lora():
    command = vllm_command("python", Serving("/merged", "baked", chat_template=Path("/run/chat.jinja")))
    assert not any("lora" in word for word in command)
    assert value(command, "--chat-template") == "/run/chat.jinja"


def test_llama_applies_one_adapter_and_waits_to_be_told_of_several():
    serving = Serving("/x/base.gguf", "base", template_variables={"a": 1}, chat_template=Path("/t"), host="::1")
    one = llama_command(Path("/b/llama-server"), serving, [Path("/a.gguf")])
    assert one[:3] == ["/b/llama-server", "--model", "/x/base.gguf"]
    assert (value(one, "--lora"), value(one, "--alias"), value(one, "--chat-template-file")) == (
        "/a.gguf",
        "base",
        "/t",
    )
    assert "--lora-init-without-apply" not in one
    assert "--jinja" in one
    assert value(one, "--cache-ram") == "0"
    assert "--cache-ram" not in llama_command(Path("llama-server"), serving)
    two = llama_command(Path("llama-server"), serving, [Path("/a.gguf"), Path("/b.gguf")])
    assert two.count("--lora") == 2
    assert "--lora-init-without-apply" in two
    assert serving.url == "http://[::1]:8000"
    assert Serving("m", "m", host="0.0.0.0", port=9).url == "http://127.0.0.1:9"


def test_a_python_is_asked_whether_it_has_vllm(tmp_path):
    assert find_vllm(sys.executable) is None
    pretender = tmp_path / "python"
    pretender.write_text("#!/bin/sh\nexit 0\n")
    pretender.chmod(0o755)
    assert find_vllm(str(pretender)) == str(pretender)
    with pytest.raises(ConfigError, match="no such program"):
        find_vllm(str(tmp_path / "missing"))


@pytest.mark.parametrize("part", ["build/bin", "bin", "."])
def test_the_server_of_llama_cpp_is_seen_from_its_source_and_from_its_build(part, tmp_path, monkeypatch):
    assert find_llama_server(tmp_path) is None
    program = tmp_path / part / "llama-server"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.touch()
    assert find_llama_server(tmp_path) is None
    program.chmod(0o755)
    assert find_llama_server(tmp_path).samefile(program)
    monkeypatch.setenv("PATH", str(program.parent))
    assert find_llama_server(None).samefile(program)
