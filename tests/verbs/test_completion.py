"""The verb that prints a completion script."""

import pytest

from bakery.cli import main
from bakery.completion import SHELLS, completion


@pytest.mark.parametrize("shell", SHELLS)
def test_it_prints_the_script_of_the_shell_that_is_named(shell, capsys):
    assert main(["completion", shell]) == 0
    assert capsys.readouterr().out == completion(shell)


def test_it_takes_one_shell(capsys):
    assert main(["completion", "bash", "zsh"]) == 2
    assert "needs the name of one shell, got 2; allowed are bash, zsh, fish" in capsys.readouterr().err
