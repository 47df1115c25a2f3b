"""`bakery taste`: the page on which base, prompted and baked model answer side by side."""

from importlib.util import find_spec

from bakery.command_line import Command
from bakery.errors import ConfigError
from bakery.verbs.checked import port_of, verbosity_of
from bakery.verbs.opened import open_one


def run(command: Command) -> None:
    """Serve the page until Ctrl-C.

    Raises:
        BakeryError: whatever is refused.
    """
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise ConfigError(f"bakery taste needs {' and '.join(missing)}; write pip install 'bakery[taste]'")
    port = port_of(command.port)
    from bakery.taste.address import listen

    with listen(command.host, port) as listening:  # before the model is loaded: a port that is taken is told at once
        folder, settings, tasting, questions = open_one(command)
        from bakery.progress import Progress
        from bakery.taste.app import Served
        from bakery.taste.run_facts import run_facts
        from bakery.taste.server import serve
        from bakery.taste.worker import Worker

        run_facts(folder)
        served = Served(tasting, folder, settings.model.model_name_or_path, questions, Worker())
        serve(served, listening, command.host, Progress(verbosity_of(command)))
