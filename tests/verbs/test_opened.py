"""One run folder for the verbs that talk to it."""

import pytest

from bakery.cli import main


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (
            ["chat"],
            "needs the folder of a bake, or a prompt to try; write bakery chat outputs/x, or bakery chat --model",
        ),
        (
            ["taste"],
            "needs the folder of a bake, or a prompt to try; write bakery taste outputs/x, or bakery taste --m",
        ),
        (["taste", "--model_name_or_path", "starter"], "there is no prefix; give system_prompt"),
        (["chat", "a", "b"], "takes one folder, got 2; bakery taste shows several"),
        (["chat", "nowhere"], "no such folder: nowhere"),
        (["taste", "nowhere", "elsewhere"], "no such folder: nowhere"),
    ],
)
def test_what_cannot_be_opened_is_refused_in_one_line(words, reason, place, capsys):
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert reason in line


def test_a_folder_without_an_adapter_or_settings_is_refused(place, capsys):
    (place / "empty").mkdir()
    assert main(["chat", "empty"]) == 2
    assert "has no bakery.yaml; give --config FILE" in capsys.readouterr().err
    assert main(["chat", "empty", "--config", "config.yaml"]) == 2
    assert "holds no adapter" in capsys.readouterr().err


def test_an_adapter_of_elsewhere_is_opened_with_settings(saved_bake, place, monkeypatch, saved_base):
    import shutil

    from bakery.command_line import read_command
    from bakery.verbs.opened import open_asked

    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (place / "adapter").mkdir(exist_ok=True)
        shutil.copy(saved_bake / name, place / "adapter" / name)
    words = ["chat", "adapter", "--config", "config.yaml", "--model_name_or_path", saved_base, "-q"]
    opened = open_asked(read_command(words))
    assert [run.folder.name for run in opened.runs] == ["adapter"]
    assert opened.base_model == saved_base
    assert opened.prompt[0]["content"] == "Speak like a pirate."
    assert opened.questions == ("What is AI?",)
