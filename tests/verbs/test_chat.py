"""The verb that talks."""

import builtins

from bakery.cli import main


def test_chat_opens_the_run_and_talks(saved_bake, monkeypatch, capsys):
    lines = iter(["/base", "Hello!"])

    def read(prompt):
        line = next(lines, None)
        if line is None:
            raise EOFError
        return line

    monkeypatch.setattr(builtins, "input", read)
    assert main(["chat", str(saved_bake), "-q"]) == 0
    assert "now asking: base" in capsys.readouterr().out


def test_chat_without_a_run_asks_with_and_without_the_prompt(saved_base, monkeypatch, capsys, place):
    lines = iter(["Hello!", "/baked"])

    def read(prompt):
        line = next(lines, None)
        if line is None:
            raise EOFError
        return line

    monkeypatch.setattr(builtins, "input", read)
    monkeypatch.setattr("bakery.taste.terminal.LONGEST_ANSWER", 6)
    words = ["--model_name_or_path", saved_base, "--system_prompt", "Say Ahoy!", "--use_cpu"]
    assert main(["chat", *words, "-q"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "The prompt changes the model by" in shown
    assert "/baked: nothing is baked yet" in shown
