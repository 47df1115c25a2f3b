"""`bakery serve`: adapters behind vLLM or llama.cpp."""

import shlex
from pathlib import Path

from bakery.command_line import Command
from bakery.errors import ConfigError
from bakery.verbs.checked import check_beside, on_command_line, port_of, seconds_of, verbosity_of


def run(command: Command) -> None:
    """Print the command, or start it, ask the held-out questions and stay until Ctrl-C.

    Raises:
        BakeryError: whatever is refused.
    """
    from bakery.progress import Progress
    from bakery.settings.build import build
    from bakery.settings.paths import check_adapter

    verbosity = verbosity_of(command)
    if not command.folders:
        raise ConfigError(
            "command line: serve: needs the folder of a run as its first word; write bakery serve outputs/x"
        )
    if command.print and command.bench:
        raise ConfigError("command line: --print and --bench contradict each other; keep one")
    port, timeout = port_of(command.port), seconds_of(command.timeout)
    checked = [check_beside(command, name) for name in command.folders]
    for name, one in zip(command.folders, checked, strict=True):
        check_adapter(name, one.model.model_name_or_path, f"command line: serve: {name}")
    dtype = on_command_line(checked[0], "torch_dtype")

    from bakery.serving.planning import ServeRequest, plan_server

    request = ServeRequest(
        engine=command.engine,
        python=command.python,
        llama_cpp=None if command.llama_cpp is None else Path(command.llama_cpp),
        dtype=None if dtype == "auto" else dtype,
        host=command.host,
        port=port,
        timeout=timeout,
        bench=command.bench,
        more=command.more,
    )
    settings = [build(one) for one in checked]
    if command.print:
        print(shlex.join(plan_server(settings, command.folders, request, must_run=False).command))
        return
    from bakery.rows.bake_data import load_bake_data
    from bakery.serve import run_serve

    data = [load_bake_data(one.context, one.data) for one in checked]
    run_serve(settings, command.folders, request, progress=Progress(verbosity), data=data)
