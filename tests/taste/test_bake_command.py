"""The command that the page shows is the bake that it does: a shell and Bakery read back what stands on the page."""

import shlex
from pathlib import Path

import pytest

from bakery.command_line import read_command
from bakery.errors import ConfigError
from bakery.taste.bake_command import FOLDER, BakeCommand, prompt_words

WORDS = ("--model_name_or_path", "starter", "--system_prompt", "Say Ahoy!", "--max_steps", "5", "--use_cpu")
HARD = [
    "plain", 'He said "it\'s $HOME & `ls`; rm -rf *"', "two\nlines\n\nand more", "<script>alert(1)</script>",
    "--verbose", "-q", "null", "5", "1e-4", "true", "[a, b]", "{x: 1", "[broken", " spaces around ", "naïve 🏴‍☠️ \\n \\",
    "!history", "=", "key: value", "# comment", "~",
]  # fmt: skip


def read_again(line):
    """What a shell and Bakery make of a line."""
    name, *words = shlex.split(line)
    assert name == "bakery"
    command = read_command(words)
    return BakeCommand(command.config, command.overrides).given()


@pytest.mark.parametrize("text", HARD)
@pytest.mark.parametrize("config", [None, "bake.yaml"])
def test_a_prompt_is_read_back_as_it_stands_on_the_page(text, config, place):
    (place / "bake.yaml").write_text("prefix_messages: [{role: system, content: Before}]\nmax_steps: 3\n")
    prompt = [{"role": "system", "content": text}]
    given = BakeCommand(config, WORDS).with_prompt(prompt, Path("out put"))
    entries = {name: entry.value for name, entry in read_again(given.line).entries.items()}
    if entries.get("system_prompt") is not None:
        assert entries["system_prompt"] == text
        assert "prefix_messages" not in entries
    else:
        assert entries["prefix_messages"] == prompt
    assert entries["output_dir"] == "out put"
    assert (entries["max_steps"], entries["use_cpu"], entries["model_name_or_path"]) == (5, True, "starter")


def test_most_prompts_are_written_as_the_system_prompt_and_others_as_messages():
    assert prompt_words([{"role": "system", "content": "Be kind."}]) == ("--system_prompt", "Be kind.")
    assert prompt_words([{"role": "system", "content": "--help"}]) == ("--system_prompt=--help",)
    turns = [{"role": "user", "content": "Hi, it's me"}, {"role": "assistant", "content": "Ahoy"}]
    given = BakeCommand(None, WORDS).with_prompt(turns, Path("x"))
    assert read_again(given.line).entries["prefix_messages"].value == turns


def test_without_a_change_the_words_stay_but_for_the_folder():
    assert BakeCommand(None, (*WORDS, "--output-dir=a")).with_prompt(None, Path("b")).overrides == (
        *WORDS,
        "--output_dir",
        "b",
    )
    line = BakeCommand("my bake.yaml", ("--system_prompt", "a b")).line
    assert line == "bakery --config 'my bake.yaml' --system_prompt 'a b'"


def test_every_way_to_give_a_prompt_is_replaced():
    words = ("--corpus-file", "facts.md", "--corpus_format", "text", "--use_cpu", "--system-prompt-file=p.txt")
    given = BakeCommand(None, words).with_prompt([{"role": "system", "content": "New."}], Path("o"))
    assert given.overrides == ("--use_cpu", "--system_prompt", "New.", "--output_dir", "o")


def test_the_folder_is_the_next_one_that_holds_no_result(place):
    assert BakeCommand(None, WORDS).folder() == Path(FOLDER)
    given = BakeCommand(None, (*WORDS, "--output_dir", "out"))
    assert given.folder() == Path("out")
    for name in ("out", "out-2"):
        (place / name).mkdir()
        (place / name / "results.json").write_text("{}")
    assert given.folder() == Path("out-3")
    (place / "out-3").mkdir()  # what a bake that was stopped has left
    assert given.folder() == Path("out-3")
    assert BakeCommand(None, (*given.overrides, "--overwrite")).folder() == Path("out")


def test_a_mistake_is_told_as_on_the_command_line():
    with pytest.raises(ConfigError, match="unknown key"):
        BakeCommand(None, ("--sytem_prompt", "x")).given()
