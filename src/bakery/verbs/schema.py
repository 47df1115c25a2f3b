"""`bakery schema`: the JSON schema of the settings file."""

import json

from bakery.command_line import Command


def run(_: Command) -> None:
    """Print it."""
    from bakery.settings.reference import json_schema

    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
