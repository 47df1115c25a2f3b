"""`bakery completion`: a script that teaches a shell to complete the command line."""

from bakery.command_line import Command
from bakery.errors import ConfigError


def run(command: Command) -> None:
    """Print the script.

    Raises:
        ConfigError: there is not one shell, or no script for it.
    """
    from bakery.completion import SHELLS, completion

    if len(command.folders) != 1:
        given = f"needs the name of one shell, got {len(command.folders)}"
        raise ConfigError(f"command line: completion: {given}; allowed are {', '.join(SHELLS)}")
    print(completion(command.folders[0]), end="")
