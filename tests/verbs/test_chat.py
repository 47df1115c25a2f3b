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
