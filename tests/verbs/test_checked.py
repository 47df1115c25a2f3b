"""What the verbs share: how much is said."""

import pytest

from bakery.cli import main
from bakery.progress import Verbosity
from tests.reading_hub import address_of_hub


@pytest.mark.parametrize(
    ("flag", "level"), [("-q", Verbosity.QUIET), ("--quiet", Verbosity.QUIET), ("--verbose", Verbosity.VERBOSE)]
)
def test_how_much_is_said(flag, level, place, baked, capsys):
    assert main(["--config", "config.yaml", flag]) == 0
    assert baked.calls[0][1].verbosity == level
    assert capsys.readouterr().out == "result\n"


def test_quiet_and_verbose_contradict_each_other(place, baked, capsys):
    assert main(["--config", "config.yaml", "-q"]) == 0
    assert main(["--config", "config.yaml", "-q", "--verbose"]) == 2
    assert "contradict" in capsys.readouterr().err


def test_a_model_that_is_not_here_is_asked_for_aloud(place, baked, monkeypatch, capsys):
    words = ["--config", "config.yaml", "--model_name_or_path", "nobody/nothing"]
    assert main(words) == 0
    assert "hub" not in capsys.readouterr().err, "offline, nothing is asked for"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    address_of_hub(monkeypatch, "http://127.0.0.1:9")
    assert main(words) == 4
    told, refused = capsys.readouterr().err.splitlines()
    assert told == "reading nobody/nothing from the hub"
    assert "nobody/nothing: the model is not in the cache, and " in refused
    assert main([*words, "--quiet"]) == 4
    assert "reading" not in capsys.readouterr().err
    assert len(baked.calls) == 1, "the hub is asked before anything is loaded"
