"""What is to be served, checked and turned into the command of a server; nothing is started."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bakery.errors import ConfigError
from bakery.exporting.forms import base_dtype
from bakery.exporting.gguf import BASE_FILE, FILES
from bakery.exporting.request import RESULT_FILE
from bakery.manifest import checksum
from bakery.serving.adapters import ServedAdapter, served_adapters
from bakery.serving.child import free_port
from bakery.serving.commands import (
    LLAMA_SERVER,
    Serving,
    find_llama_server,
    find_vllm,
    llama_command,
    vllm_command,
)
from bakery.settings.build import BakeSettings
from bakery.settings.paths import resolve_model
from bakery.text import suggestion

ENGINES = ("vllm", "llama")
USUAL_PORT = 8000
_EXPORT = Path("export") / "gguf-adapter"
_TEMPLATE = "chat_template.jinja"


@dataclass(frozen=True)
class ServeRequest:
    """How adapters are to be served.

    Args:
        engine: one of `ENGINES`.
        python: that of an environment with vLLM; none: this one.
        llama_cpp: the folder of llama.cpp with its built server; none: the one on the search path.
        dtype: number format for vLLM; none: that in which the base is stored.
        host: the address to listen on.
        port: of it; none: the usual one, or another where that is taken.
        timeout: seconds that the server may take until it is ready.
        bench: whether it is measured what the adapters save.
        more: further words for the server.
    """

    engine: str = "vllm"
    python: str | None = None
    llama_cpp: Path | None = None
    dtype: str | None = None
    host: str = "127.0.0.1"
    port: int | None = None
    timeout: float = 900.0
    bench: bool = False
    more: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A server that can be started: its command, what it serves, and at which strength each adapter was written."""

    engine: str
    command: tuple[str, ...]
    serving: Serving
    strengths: tuple[float, ...]


def plan_server(
    settings: Sequence[BakeSettings], folders: Sequence[str], request: ServeRequest, *, must_run: bool
) -> Plan:
    """The command for these runs.

    Args:
        settings: those of each run.
        folders: of the runs.
        request: how they are to be served.
        must_run: whether the engine has to be on this machine and the port free; a command can be printed without.

    Raises:
        ConfigError: an adapter cannot be served, the bases differ, an export is missing, or the engine is not there.
    """
    if request.engine not in ENGINES:
        remedy = suggestion(request.engine, ENGINES, f"allowed are {' and '.join(ENGINES)}")
        raise ConfigError(f"command line: --engine: there is no engine {request.engine!r}; {remedy}")
    for option, engine in (("python", "vllm"), ("llama_cpp", "llama"), ("dtype", "vllm")):
        if getattr(request, option) is not None and request.engine != engine:
            raise ConfigError(f"command line: --{option}: is for --engine {engine}; leave it out")
    adapters = served_adapters(folders)
    base = _one_base(settings, folders)
    served = Serving(
        model=base,
        name=_base_name(base, adapters),
        adapters=adapters,
        dtype=request.dtype or base_dtype(settings[0].model),
        host=request.host,
        port=free_port(request.host, request.port, USUAL_PORT) if must_run else request.port or USUAL_PORT,
        chat_template=next((file for file in (adapters[0].folder / _TEMPLATE,) if file.is_file()), None),
        template_variables=_common_variables(settings),
        trust_remote_code=settings[0].model.trust_remote_code,
        more=request.more,
    )
    if request.engine == "llama":
        return _llama_plan(served, request, must_run)
    python = find_vllm(request.python or sys.executable) if must_run else request.python or "python"
    if python is None:
        where = request.python or f"this Python ({sys.executable})"
        raise ConfigError(
            f"command line: --python: {where} has no vLLM; give the Python of an environment that has it, or --print "
            "the command and run it there"
        )
    return Plan("vllm", tuple(vllm_command(python, served)), served, tuple(1.0 for _ in adapters))


def _llama_plan(served: Serving, request: ServeRequest, must_run: bool) -> Plan:
    """The same for llama.cpp, from the files that exports wrote."""
    exports = [adapter.folder / _EXPORT for adapter in served.adapters]
    strengths = tuple(_exported_strength(adapter) for adapter in served.adapters)
    program = find_llama_server(request.llama_cpp)
    if program is None and must_run:
        where = request.llama_cpp or "the search path"
        raise ConfigError(
            f"command line: --llama_cpp: {where} has no {LLAMA_SERVER}; build it (cmake --build build --target "
            f"{LLAMA_SERVER}) and give the folder of llama.cpp"
        )
    served = replace(served, model=str(exports[0] / BASE_FILE))
    files = [folder / FILES["gguf-adapter"] for folder in exports]
    return Plan("llama", tuple(llama_command(program or Path(LLAMA_SERVER), served, files)), served, strengths)


def _exported_strength(adapter: ServedAdapter) -> float:
    """The strength at which an adapter lies in its GGUF file."""
    folder = adapter.folder / _EXPORT
    remedy = f"write bakery export {adapter.folder} --to gguf-adapter --llama_cpp DIR"
    for file in (FILES["gguf-adapter"], BASE_FILE, RESULT_FILE):
        if not (folder / file).is_file():
            raise ConfigError(f"serve: {folder} has no {file}; {remedy}, where llama.cpp is built in DIR")
    told = json.loads((folder / RESULT_FILE).read_text("utf-8"))
    if checksum(adapter.folder / "adapter_model.safetensors") != told["adapter_sha256"]:
        raise ConfigError(f"serve: {folder} was made from another adapter than is in the run now; {remedy} --overwrite")
    return float(told["strength"])


def _one_base(settings: Sequence[BakeSettings], folders: Sequence[str]) -> str:
    """The base of all runs: its hub id, or its absolute folder."""
    names = [resolve_model(one.model.model_name_or_path) for one in settings]
    bases = [os.path.abspath(name) if os.path.isdir(name) else name for name in names]
    for folder, base in zip(folders, bases, strict=True):
        if base != bases[0]:
            raise ConfigError(
                f"command line: serve: {folder} belongs to the base {base}, {folders[0]} to {bases[0]}; one server has "
                "one base: serve them apart"
            )
    return bases[0]


def _base_name(base: str, adapters: Sequence[ServedAdapter]) -> str:
    """Under which the base is asked for: its hub id, or the name of its folder unless an adapter has that name."""
    name = Path(base).name if os.path.isdir(base) else base
    return base if name in [adapter.name for adapter in adapters] else name


def _common_variables(settings: Sequence[BakeSettings]) -> dict[str, object]:
    """The variables of the chat template that all runs have; none where they differ, as requests carry them then."""
    variables = [one.context.chat_template_kwargs or {} for one in settings]
    return dict(variables[0]) if all(one == variables[0] for one in variables) else {}
