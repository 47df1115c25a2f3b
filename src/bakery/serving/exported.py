"""An export asked in the server that it was written for, where that is to be had."""

import gc
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from bakery.exporting.asking import Baked
from bakery.exporting.gguf import FILES, convert_base
from bakery.exporting.request import IN_VLLM, ExportRequest
from bakery.exporting.result import ServerCheck
from bakery.progress import Progress
from bakery.serving.adapters import ServedAdapter
from bakery.serving.checks import check_served
from bakery.serving.child import free_port, running, wait_until_healthy
from bakery.serving.commands import Serving, find_llama_server, find_vllm, llama_command, vllm_command
from bakery.serving.served_model import LlamaModel, ServedModel, VllmModel

NAMES = {"vllm": "vLLM", "llama": "llama.cpp"}
"""By engine, what people call it."""
_HOST = "127.0.0.1"
_BAKED = "baked"
_LLAMA_FLOAT32 = ("--flash-attn", "off", "--cache-type-k", "f32", "--cache-type-v", "f32")
"""Else llama.cpp rounds keys, values and attention to half precision, whatever the weights are."""
_CPU_SHARE = "0.4"
"""Of the memory: vLLM on a CPU refuses to start unless all that it may take is free."""


@dataclass(frozen=True)
class Exported:
    """What was written, as a server has to know it.

    Args:
        folder: where it lies.
        base: hub id or absolute folder.
        base_dtype: the number format of the base's weights.
        dtype: that of what was written.
        rank: of the adapter.
        stops: the tokens that end a turn.
    """

    folder: Path
    base: str
    base_dtype: str
    dtype: str
    rank: int
    stops: frozenset[int]


@dataclass(frozen=True)
class _Server:
    """A server that can be started with an export; `exact`: all its numbers are float32."""

    engine: str
    command: list[str]
    url: str
    model: ServedModel
    exact: bool


def ask_server(
    request: ExportRequest, exported: Exported, baked: Baked, progress: Progress
) -> ServerCheck | str | None:
    """Start the server that takes this form, ask it, and end it.

    Args:
        request: which form, and where the server is.
        exported: what was written.
        baked: the questions, and what is to be said to them.
        progress: where stages are shown.

    Returns:
        What it said, or why it was not asked; None where no server takes the form.

    Raises:
        ConfigError: text becomes other tokens in the server, and that was not allowed.
        BakeryError: the server cannot be started, or has another model.
    """
    server: _Server | str | None = None
    if request.to in IN_VLLM:
        server = _vllm(request, exported, baked)
    elif request.to in FILES:
        server = _llama(request, exported, baked)
    if not isinstance(server, _Server):
        return server
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # the server takes what memory is left
    name, total = NAMES[server.engine], len(baked.answers)
    with tempfile.TemporaryDirectory(prefix="bakery-") as logs:
        log = Path(logs) / "server.log"
        with running(server.command, log) as process:
            with progress.stage("load", f"starting {name}", 1, "servers") as on_progress:
                seconds = wait_until_healthy(process, server.url, request.timeout, log)
                on_progress(1)
            with progress.stage("proof", f"asking {name}", total, "answers") as on_progress:
                text, answers = check_served(
                    server.model,
                    baked,
                    name,
                    exact=server.exact,
                    allowed=request.allow_other_tokens,
                    on_progress=on_progress,
                )
    return ServerCheck(name, text, answers, round(seconds, 1))


def _vllm(request: ExportRequest, exported: Exported, baked: Baked) -> _Server | str:
    python = find_vllm(request.python or sys.executable)
    if python is None:
        return "vLLM: not installed here; give the Python of its environment with --python"
    folder = exported.folder.absolute()
    room = () if torch.cuda.is_available() else ("--gpu-memory-utilization", _CPU_SHARE)
    serving = Serving(str(folder), _BAKED, (), exported.dtype, _HOST, free_port(_HOST, None, 0), more=room)
    if request.to == "adapter":
        adapters = (ServedAdapter(_BAKED, folder, exported.rank),)
        serving = replace(serving, model=exported.base, name="base", adapters=adapters, dtype="float32")
    model = VllmModel(serving.url, _BAKED, exported.stops, baked.longest, baked.variables)
    return _Server("vllm", vllm_command(python, serving), serving.url, model, exported.dtype == "float32")


def _llama(request: ExportRequest, exported: Exported, baked: Baked) -> _Server | str:
    """The server of a GGUF file; the base of an adapter is converted beside it."""
    written, source = exported.folder / FILES[request.to], request.llama_cpp
    program = find_llama_server(source)
    if program is None or source is None:
        return f"{written.name} itself: {source} holds no built llama-server; ask it in llama.cpp before relying on it"
    files: tuple[Path, ...] = ()
    model, exact = written, exported.dtype == "float32"
    if request.to == "gguf-adapter":
        dtype = request.dtype or exported.base_dtype
        model = convert_base(exported.base, source, dtype, exported.folder, request.pre_tokenizer)
        files, exact = (written,), exact and dtype == "float32"
    more = _LLAMA_FLOAT32 if exact else ()
    serving = Serving(str(model), _BAKED, host=_HOST, port=free_port(_HOST, None, 0), more=more)
    served = LlamaModel(serving.url, _BAKED, exported.stops, baked.longest, baked.variables)
    return _Server("llama", llama_command(program, serving, files), serving.url, served, exact)
