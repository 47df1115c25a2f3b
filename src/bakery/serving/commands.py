"""The commands that start vLLM's server and that of llama.cpp, and where these programs are. Torch-free."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bakery.errors import ConfigError
from bakery.serving.adapters import ServedAdapter, vllm_rank

VLLM_MODULE = "vllm.entrypoints.openai.api_server"
LLAMA_SERVER = "llama-server"
_THIS_MACHINE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where a server that listens everywhere is asked from here."""
_IN_LLAMA_CPP = ("build/bin", "bin", ".")
"""Where a build of llama.cpp leaves its programs, seen from its source or from the build's own folder."""


@dataclass(frozen=True)
class Serving:
    """What a server is to be started with, whichever it is.

    Args:
        model: the base or a whole model: a hub id or a folder; for llama.cpp a GGUF file.
        name: under which requests ask for the model without an adapter.
        adapters: beside it.
        dtype: number format of the weights; llama.cpp takes that of the file.
        host: the address to listen on.
        port: of it.
        chat_template: a file; none: the model's own.
        template_variables: what the chat template is given unless a request says otherwise.
        trust_remote_code: whether code of the model's folder may run.
        more: further words for the server, as they are.
    """

    model: str
    name: str
    adapters: tuple[ServedAdapter, ...] = ()
    dtype: str = "auto"
    host: str = "127.0.0.1"
    port: int = 8000
    chat_template: Path | None = None
    template_variables: Mapping[str, Any] = field(default_factory=dict)
    trust_remote_code: bool = False
    more: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """The server's address on this machine, without a slash at its end."""
        host = _THIS_MACHINE.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


def vllm_command(python: str, serving: Serving) -> list[str]:
    """The command that starts vLLM's server with this Python.

    Raises:
        ConfigError: an adapter has a larger rank than vLLM takes.
    """
    words = [python, "-m", VLLM_MODULE, "--model", serving.model, "--served-model-name", serving.name]
    if serving.adapters:
        modules = [_lora_module(adapter) for adapter in serving.adapters]
        words += ["--enable-lora", "--lora-modules", *modules, "--max-lora-rank", str(vllm_rank(serving.adapters))]
    if len(serving.adapters) > 1:
        words += ["--max-loras", str(len(serving.adapters))]
    words += ["--dtype", serving.dtype, "--generation-config", "vllm"]
    if serving.template_variables:
        words += ["--default-chat-template-kwargs", json.dumps(dict(serving.template_variables))]
    if serving.trust_remote_code:
        words += ["--trust-remote-code"]
    return words + _ends(serving, "--chat-template")


def llama_command(program: Path, serving: Serving, files: Sequence[Path] = ()) -> list[str]:
    """The command that starts llama.cpp's server; `files` are the GGUF adapters, in the order of `serving.adapters`.

    Several adapters are loaded without being applied: a request names the one that acts on it. Beside adapters the
    cache of prompts in main memory is off, because it gives the keys and values that one adapter made to a request
    under another. The cache within a slot, which knows its adapter, stays.
    """
    words = [str(program), "--model", serving.model, "--alias", serving.name]
    for file in files:
        words += ["--lora", str(file)]
    if len(files) > 1:
        words += ["--lora-init-without-apply"]
    if files:
        words += ["--cache-ram", "0"]
    words += ["--jinja", "--reasoning-format", "none"]
    if serving.template_variables:
        words += ["--chat-template-kwargs", json.dumps(dict(serving.template_variables))]
    return words + _ends(serving, "--chat-template-file")


def _ends(serving: Serving, template_option: str) -> list[str]:
    template = [template_option, str(serving.chat_template)] if serving.chat_template else []
    return [*template, "--host", serving.host, "--port", str(serving.port), *serving.more]


def _lora_module(adapter: ServedAdapter) -> str:
    """An adapter as vLLM reads it; the short form has no room for some characters."""
    if "=" in adapter.name or "," in f"{adapter.name}{adapter.folder}":
        return json.dumps({"name": adapter.name, "path": str(adapter.folder)})
    return f"{adapter.name}={adapter.folder}"


def find_vllm(python: str) -> str | None:
    """The absolute path of a Python that has vLLM; None where it has not.

    Raises:
        ConfigError: it is no Python.
    """
    program = shutil.which(os.path.expanduser(python))
    if program is None:
        raise ConfigError(f"command line: --python: {python}: no such program")
    # Not resolved: the Python of an environment is a link, and through it alone the environment's packages are seen.
    program = os.path.abspath(program)
    code = "import sys; from importlib.util import find_spec; sys.exit(find_spec('vllm') is None)"
    try:
        done = subprocess.run([program, "-c", code], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"command line: --python: {python} cannot be run: {error}") from error
    return None if done.returncode else program


def find_llama_server(folder: Path | None) -> Path | None:
    """llama.cpp's server in the folder of its source or build; without a folder, the one on the search path."""
    if folder is None:
        program = shutil.which(LLAMA_SERVER)
        return Path(program) if program else None
    candidates = (folder.expanduser().absolute() / part / LLAMA_SERVER for part in _IN_LLAMA_CPP)
    return next((path for path in candidates if path.is_file() and os.access(path, os.X_OK)), None)
