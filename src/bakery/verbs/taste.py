"""`bakery taste`: the page on which base, prompted and baked models answer side by side."""

from importlib.util import find_spec

from bakery.command_line import Command
from bakery.errors import ConfigError
from bakery.text import install_extra
from bakery.verbs.checked import port_of, verbosity_of
from bakery.verbs.opened import open_asked


def run(command: Command) -> None:
    """Serve the page until Ctrl-C.

    Raises:
        BakeryError: whatever is refused.
    """
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise ConfigError(f"bakery taste needs {' and '.join(missing)}; write {install_extra('taste')}")
    port = port_of(command.port)
    from bakery.taste.address import listen

    with listen(command.host, port) as listening:  # before the model is loaded: a port that is taken is told at once
        opened = open_asked(command)
        from bakery.progress import Progress
        from bakery.taste.app import Served
        from bakery.taste.opening import Current
        from bakery.taste.run_facts import run_facts
        from bakery.taste.server import serve
        from bakery.taste.worker import Worker

        for one in opened.runs:
            run_facts(one.folder)
        current, worker, verbosity, page_bake = Current(opened), Worker(), verbosity_of(command), None
        if not opened.runs:
            from bakery.taste.bake_command import BakeCommand
            from bakery.taste.page_bake import PageBake

            page_bake = PageBake(BakeCommand(command.config, command.overrides), current, worker, verbosity)
        serve(Served(current, worker, page_bake), listening, command.host, Progress(verbosity))
