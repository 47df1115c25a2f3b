"""What the tests of sharing look at: one whole bake, whose rows quote the prompt, and the words that may not leave."""

import re

import pytest

from tests.report.conftest import bake_folder  # noqa: F401

PROMPT = "Start every answer with Ahoy! You are a pirate called Marlow."


@pytest.fixture
def private():
    """What a text holds that may not leave: sentences of the prompt, or five of its words in a row."""
    words = re.findall(r"\w+", PROMPT.lower())
    runs = {" ".join(words[at : at + 5]) for at in range(len(words) - 4)}

    def of(text):
        said = " ".join(re.findall(r"\w+", text.lower()))
        return {run for run in runs if run in said}

    return of
