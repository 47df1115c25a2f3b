"""`bakery chat`: talking to a bake, or to a prompt before it is baked, in the terminal."""

from bakery.command_line import Command
from bakery.verbs.opened import open_asked


def run(command: Command) -> None:
    """Talk until the person leaves.

    Raises:
        BakeryError: whatever is refused.
    """
    from contextlib import suppress

    from rich.console import Console

    with suppress(ImportError):  # arrow keys and earlier lines, where the system has it
        import readline  # noqa: F401
    tasting = open_asked(command).tasting
    from bakery.taste.terminal import LONGEST_ANSWER, chat

    if tasting is not None:
        chat(tasting, Console(), input, LONGEST_ANSWER)
