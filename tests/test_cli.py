"""The command: fast answers, one line per mistake, an exit code per kind of mistake."""

import subprocess
import sys

import pytest

from bakery import __version__
from bakery.cli import MODULES, main
from bakery.command_line import FIRST_COMMAND, VERBS
from bakery.errors import BakeryError, ConfigError, DataError, ModelError, NumericError, ResourceError, VerdictError


@pytest.mark.parametrize("error", [ConfigError, DataError, ModelError, ResourceError, NumericError])
def test_every_kind_of_mistake_has_its_exit_code_and_one_line(error, place, baked, capsys):
    baked.error = error("first\n   second")
    assert main(["--config", "config.yaml"]) == error.exit_code
    captured = capsys.readouterr()
    assert captured.err == "bakery: error: first second\n"
    assert captured.out == ""


def test_a_line_has_an_end_and_shows_no_secret(place, baked, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", "canary-of-the-hub")
    baked.error = ConfigError(f"canary-of-the-hub https://me:word@host {'x' * 100_000}")
    assert main(["--config", "config.yaml", "--verbose"]) == 2
    said = capsys.readouterr().err
    assert "canary-of-the-hub" not in said
    assert "me:word" not in said
    assert len(said.splitlines()[-1]) < 2000


def test_the_codes_are_those_that_are_promised():
    kinds = (BakeryError, ConfigError, DataError, ModelError, ResourceError, NumericError, VerdictError)
    assert [kind.exit_code for kind in kinds] == [1, 2, 3, 4, 5, 6, 7]


def test_interruption_is_130_without_a_traceback(place, baked, capsys):
    baked.error = KeyboardInterrupt()
    assert main(["--config", "config.yaml"]) == 130
    assert capsys.readouterr().err == "bakery: interrupted\n"


def test_a_bug_of_ours_keeps_its_traceback(place, baked):
    baked.error = RuntimeError("bug")
    with pytest.raises(RuntimeError, match="bug"):
        main(["--config", "config.yaml"])


def test_verbose_shows_where_a_refusal_comes_from(place, baked, capsys):
    baked.error = DataError("row 1")
    assert main(["--config", "config.yaml", "--verbose"]) == 3
    error = capsys.readouterr().err
    assert error.startswith("Traceback")
    assert error.endswith("\nbakery: error: row 1\n")


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"bakery {__version__}\n"


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["schema"], ["--config", "nowhere.yaml"]])
def test_quick_answers_load_no_torch(words):
    code = (
        "import sys; from bakery.cli import main; main(sys.argv[1:])\n"
        "sys.exit(len({'torch', 'transformers', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, timeout=30, check=False)
    assert done.returncode == 0


def test_as_a_module():
    done = subprocess.run([sys.executable, "-m", "bakery", "--version"], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, f"bakery {__version__}\n")
    done = subprocess.run([sys.executable, "-m", "bakery"], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr == f"bakery: error: no settings given; write {FIRST_COMMAND}, or --config FILE; see bakery --help\n"
    )


def test_a_closed_pipe_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m bakery schema | head -c 10", shell=True, capture_output=True, text=True, timeout=30
    )
    assert done.stderr == ""


def test_every_verb_has_its_module():
    assert set(MODULES) == set(VERBS)
