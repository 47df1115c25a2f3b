"""The command line: thin verbs over the library, one line for every mistake, an exit code for every kind of it.

The verbs import what they need themselves, so that `--help` and a mistake in the command line are answered at once.
"""

import os
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from importlib import import_module

from bakery import __version__
from bakery.command_line import HELP, Command, read_command
from bakery.errors import BakeryError
from bakery.interruption import Interrupted
from bakery.resources import resources_told
from bakery.text import excerpt, redacted, secrets_of
from bakery.verbs.checked import is_first_process

LONGEST_LINE = 1500
"""Characters of an error at most; what a file or library says can be of any length."""
GRACE_SECONDS = 10.0
"""How long a process that failed beside others waits to be ended before it says why."""
MODULES = {"bake": "bake", "inspect": "inspect", "eval": "evaluate", "compare": "compare", "chat": "chat",
           "taste": "taste", "export": "export", "serve": "serve", "push": "push", "schema": "schema",
           "completion": "completion"}  # fmt: skip
"""By verb, the module of `bakery.verbs` that does it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line, by default that of this process, and return its exit code (see `errors`)."""
    words = sys.argv[1:] if argv is None else argv
    try:
        with ExitStack() as stack:
            stack.push(_wait_unless_first)
            stack.enter_context(resources_told())
            return _run(read_command(words))
    except BakeryError as error:
        secrets = secrets_of(words, os.environ)
        if "--verbose" in words:
            print(redacted(traceback.format_exc(), secrets), file=sys.stderr, end="")
        print(f"bakery: error: {redacted(excerpt(str(error), LONGEST_LINE), secrets)}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as stopped:
        saved = isinstance(stopped, Interrupted) and stopped.saved
        if is_first_process():
            told = f"; {saved} is saved, and the same command goes on from there" if saved else ""
            print(f"bakery: interrupted{told}", file=sys.stderr)
        return stopped.exit_code if isinstance(stopped, Interrupted) else 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _wait_unless_first(kind: type[BaseException] | None, *_: object) -> None:
    """Of several processes that fail, let one say why: the launcher ends all when one of them has ended.

    The first process reports at once when it knows the reason. The others wait to be ended: mostly they fail for the
    same reason, or see only that another process is gone. A process that is not ended reports after the wait.
    """
    if kind is None or kind is KeyboardInterrupt or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return
    if not (is_first_process() and issubclass(kind, BakeryError)):
        time.sleep(GRACE_SECONDS)


def _run(command: Command) -> int:
    if command.help:
        print(HELP, end="")
    elif command.version:
        print(f"bakery {__version__}")
    else:
        import_module(f"bakery.verbs.{MODULES[command.verb]}").run(command)
    return 0
