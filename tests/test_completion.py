"""Completion in the shells themselves: verbs, options of a verb, values of a setting, files and folders."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time

import pytest

from bakery.cli import main
from bakery.command_line import FLAGS, OPTIONS, VERBS
from bakery.completion import SHELLS, completion, options
from bakery.settings.catalog import all_fields

CASES = [
    (["tas"], "taste"),
    (["export", "run", "--to", "mer"], "merged"),
    (["export", "run", "--llama_"], "--llama_cpp"),
    (["--save_strat"], "--save_strategy"),
    (["--save_strategy", "ep"], "epoch"),
    (["--use_cpu", "tr"], "true"),
    (["completion", "fi"], "fish"),
    (["--config", "settings.y"], "settings.yaml"),
    (["push", "run", "--include_"], "--include_prompt"),
]
NOT_OFFERED = [["push", "run", "--learning_r"], ["schema", "--repo_i"], ["bake", "--repo_i"]]


@pytest.fixture
def script(request, tmp_path, monkeypatch):
    """A file with the script of one shell, in a working directory with something to complete."""
    shell = request.param
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    (tmp_path / "settings.yaml").write_text("")
    (tmp_path / "outputs").mkdir()
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"script.{shell}"
    path.write_text(completion(shell))
    return path


def in_bash(script, words):
    at = len(words)
    quoted = " ".join(f"'{word}'" for word in ("bakery", *words))
    asked = f"COMP_WORDS=({quoted}); COMP_CWORD={at}; _bakery 2>/dev/null"
    code = f"source {script}; {asked}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run(["bash", "--norc", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.split()


def in_fish(script, words):
    code = f"source {script}; complete -C 'bakery {' '.join(words)}'"
    done = subprocess.run(["fish", "--no-config", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return [line.partition("\t")[0] for line in done.stdout.splitlines()]


class Zsh:
    """A zsh on a terminal of its own, in which somebody types."""

    def __init__(self, script):
        self._process, self._terminal = pty.fork()
        if self._process == 0:
            os.environ.update(TERM="dumb", PS1="")
            os.execvp("zsh", ["zsh", "-f", "-i"])
        self._type("unsetopt zle_bracketed_paste; autoload -U compinit; compinit -D\n")
        self._type(f"source {script}; print READY\n")
        self._read_until("\nREADY")

    def line_after(self, words):
        """What the line is after a tab, as `print` shows it."""
        self._type(f"bakery {' '.join(words)}\t")
        time.sleep(0.3)
        self._type("\x01print -r -- LINE: \x05 :END\n")  # to the beginning of the line, and to its end
        return self._read_until("\n", after="\nLINE: ").partition(":END")[0].split()

    def close(self):
        """End it."""
        os.kill(self._process, 9)
        os.waitpid(self._process, 0)
        os.close(self._terminal)

    def _type(self, text):
        os.write(self._terminal, text.encode())

    def _read_until(self, mark, after=""):
        read, deadline = "", time.monotonic() + 60
        while time.monotonic() < deadline:
            if select.select([self._terminal], [], [], 0.1)[0]:
                read += os.read(self._terminal, 65536).decode(errors="replace").replace("\r", "")
            _, is_there, rest = read.partition(after) if after else ("", "x", read)
            if is_there and mark in rest:
                return rest.partition(mark)[0]
        raise AssertionError(f"zsh did not answer: {read!r}")


@pytest.mark.parametrize("script", ["bash"], indirect=True)
def test_bash_offers_what_fits(script):
    for words, expected in CASES:
        assert expected in in_bash(script, words), words
    assert in_bash(script, ["inspect", "--save-strategy", "ep"]) == ["epoch"]
    assert in_bash(script, ["export", "run", "--to", "=", "mer"]) == ["merged"]
    assert in_bash(script, [""]) == list(VERBS)
    assert in_bash(script, ["taste", "out"]) == ["outputs"]
    for words in NOT_OFFERED:
        assert not in_bash(script, words), words


@pytest.mark.parametrize("script", ["fish"], indirect=True)
def test_fish_offers_what_fits(script):
    for words, expected in CASES:
        assert expected in in_fish(script, words), words
    assert set(in_fish(script, [""])) >= set(VERBS)
    assert in_fish(script, ["export", "--to=mer"]) == ["--to=merged"]
    assert "outputs/" in in_fish(script, ["taste", "out"])
    for words in NOT_OFFERED:
        assert not in_fish(script, words), words


@pytest.mark.parametrize("script", ["zsh"], indirect=True)
def test_zsh_completes_what_is_typed(script):
    shell = Zsh(script)
    try:
        for words, expected in CASES[:6]:
            assert shell.line_after(words)[-1] == expected, words
        assert shell.line_after(["export", "run", "--to=mer"])[-1] == "--to=merged"
        assert shell.line_after(["taste", "out"])[-1] == "outputs"
        assert shell.line_after(["inspect", "--save-strategy", "ep"])[-1] == "epoch"
        assert shell.line_after(NOT_OFFERED[0])[-1] == NOT_OFFERED[0][-1]
    finally:
        shell.close()


def test_every_option_and_setting_is_offered_by_every_script():
    names = {one.name for one in options()}
    assert names >= {*FLAGS, *OPTIONS, *all_fields()}
    for shell in SHELLS:
        assert names <= set(re.findall(r"(?:--|-l )(\w+)", completion(shell))), shell


def test_the_script_is_printed_without_torch(tmp_path):
    code = "import sys; from bakery.cli import main; main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, "completion", "bash"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, completion("bash"))


@pytest.mark.parametrize(("words", "says"), [(["bsh"], "did you mean bash?"), (["tcsh"], "unknown shell 'tcsh'"),
                                             ([], "needs the name of one shell, got 0")])  # fmt: skip
def test_another_shell_is_one_line(words, says, capsys):
    assert main(["completion", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
