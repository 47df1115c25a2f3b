"""Settings for tests: a bake that is complete, files of it, and its path to checked settings."""

from bakery.errors import BakeryError
from bakery.settings.build import check_settings
from bakery.settings.reading import read_settings_file

GOOD = {"prefix_messages": [{"role": "system", "content": "Speak like a pirate."}], "training_prompts": ["What is AI?"]}


def write(folder, text, name="config.yaml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def values(settings):
    return {name: entry.value for name, entry in settings.entries.items()}


def checked(folder, text, name="config.yaml"):
    """The checked settings of a file of this text."""
    return check_settings(read_settings_file(write(folder, text, name)))


def refusal(action):
    """The message of the BakeryError that an action raises, or nothing; any other error is a failure."""
    try:
        action()
    except BakeryError as error:
        return str(error)
    return ""
