"""`bakery chat`: talking to a bake in the terminal."""

from bakery.command_line import Command
from bakery.verbs.opened import open_one


def run(command: Command) -> None:
    """Talk until the person leaves.

    Raises:
        BakeryError: whatever is refused.
    """
    from contextlib import suppress

    from rich.console import Console

    with suppress(ImportError):  # arrow keys and earlier lines, where the system has it
        import readline  # noqa: F401
    _, _, tasting, _ = open_one(command)
    from bakery.taste.terminal import LONGEST_ANSWER, chat

    chat(tasting, Console(), input, LONGEST_ANSWER)
