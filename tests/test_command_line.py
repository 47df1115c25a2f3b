"""A command line taken apart, and a help that is short and true."""

import shlex

import pytest

from bakery.cli import main
from bakery.command_line import FIRST_COMMAND, HELP, VERBS, read_command
from bakery.errors import ConfigError
from bakery.settings.build import check_settings
from bakery.settings.catalog import all_fields
from bakery.settings.reading import read_command_line


def test_the_help_is_short_grouped_and_true(capsys):
    assert main(["--help"]) == main(["-h"]) == main(["bake", "--help"]) == 0
    assert capsys.readouterr().out == HELP * 3
    lines = HELP.splitlines()
    assert len(lines) <= 54
    assert max(map(len, lines)) <= 100
    assert HELP.partition("examples\n")[2].count("bakery ") == 3
    for verb in VERBS:
        assert f"\n  {verb} " in HELP
    known = {
        *all_fields(),
        "config",
        "quiet",
        "verbose",
        "help",
        "version",
        "rows",
        "html",
        "gap",
        "plan",
        "adapter",
        "strength",
        "host",
        "port",
        "to",
        "dtype",
        "llama_cpp",
        "engine",
        "print",
        "bench",
        "",
        "any_setting",
        "repo_id",
        "private",
        "include_prompt",
        "dry_run",
    }
    for word in HELP.replace("=", " ").split():
        if word.strip("[]").startswith("--"):
            assert word.strip("[]-,") in known, word


def test_the_help_begins_with_the_one_command_that_is_enough():
    assert HELP.index(FIRST_COMMAND) < HELP.index("usage:")
    given = read_command(shlex.split(FIRST_COMMAND)[1:])
    checked = check_settings(read_command_line(given.overrides))
    assert checked.context.prefix_messages == [{"role": "system", "content": "You are Ada ..."}]


def test_words_that_are_not_ours_are_left_for_the_settings():
    command = read_command(["inspect", "--rows", "3", "--config=a.yaml", "--html", "x.html", "--r", "4", "--seed=1"])
    assert (command.verb, command.rows, command.config, command.html) == ("inspect", "3", "a.yaml", "x.html")
    assert command.overrides == ("--r", "4", "--seed=1")


@pytest.mark.parametrize(
    ("words", "folders", "overrides"),
    [
        (["compare", "a", "b/c"], ("a", "b/c"), ()),
        (["compare", "a", "b", "c", "-q", "--seed", "7"], ("a", "b", "c"), ("--seed", "7")),
        (["compare", "-q", "a", "b"], (), ("a", "b")),
        (["eval", "--adapter", "a"], (), ()),
    ],
)
def test_folders_follow_the_verb_that_takes_them(words, folders, overrides):
    command = read_command(words)
    assert (command.folders, command.overrides) == (folders, overrides)


def test_a_plan_belongs_to_a_bake(place):
    with pytest.raises(ConfigError, match="--plan: belongs to the verb bake"):
        read_command(["inspect", "--config", "config.yaml", "--plan"])
