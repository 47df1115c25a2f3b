"""The verb that bakes: settings to the bake, and what is said of it."""

import pytest

from bakery.cli import main
from bakery.progress import Verbosity
from bakery.settings.build import BakeSettings
from tests.command_support import CONFIG


@pytest.mark.parametrize(
    "words", [["--config", "config.yaml"], ["bake", "--config=config.yaml"], ["-c", "config.yaml"]]
)
def test_bake_is_the_verb_that_needs_not_be_said(words, place, baked, capsys):
    assert main([*words, "--r", "4"]) == 0
    ((settings, progress, data),) = baked.calls
    assert isinstance(settings, BakeSettings)
    assert (settings.lora.r, settings.bakery.output_dir) == (4, "out")
    assert progress.verbosity == Verbosity.NORMAL
    assert [row.messages for row in data.train] == [({"role": "user", "content": "What is AI?"},)]
    assert capsys.readouterr().out == "result\n"
    assert not (place / "out").exists()


def test_a_bake_needs_no_file(place, baked):
    words = ["--training_prompts", "a", "--prefix_messages", "[{role: user, content: b}]", "--output-dir=x"]
    assert main([*words, "--use_cpu"]) == 0
    assert baked.calls[0][0].bakery.output_dir == "x"


@pytest.mark.parametrize("line", ["system_prompt: Be kind.", "system_prompt_file: prompt.txt"])
def test_the_older_name_works_without_a_warning(line, place, baked, capsys):
    (place / "prompt.txt").write_text("Be kind.")
    (place / "old.yaml").write_text(CONFIG.partition("\n")[2] + line)
    assert main(["--config", "old.yaml"]) == 0
    assert capsys.readouterr().err == ""
    assert baked.calls[0][2].prefix == ({"role": "system", "content": "Be kind."},)


def test_a_plan_is_printed_and_nothing_else_is_done(place, saved_base, capsys):
    words = ["--config", "config.yaml", "--model_name_or_path", saved_base, "--trajectory_length", "4"]
    assert main([*words, "--max_steps", "2", "--plan"]) == 0
    shown = capsys.readouterr().out
    for part in ("writing prompts", "sampling answers", "training", "measuring the proof", "memory at most"):
        assert part in shown
    assert sorted(path.name for path in place.iterdir()) == ["config.yaml"]
