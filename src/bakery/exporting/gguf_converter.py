"""Runs a converter of llama.cpp in a process of its own, and names the pre-tokenizer where the converter does not.

llama.cpp's converters know a pre-tokenizer by a hash over the token ids of a test text, so that a vocabulary of one's
own is never recognised, however common its pre-tokenizer is. This module is run as a script with the interpreter's own
modules alone:

    python gguf_converter.py SCRIPT NAME [word of the converter ...]        NAME may be empty
"""

import runpy
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any


def named_where_unknown(recognise: Callable[[Any, Any], str], name: str) -> Callable[[Any, Any], str]:
    """A converter's own way to tell the pre-tokenizer, and this name where it does not recognise it."""

    def get_vocab_base_pre(model: Any, tokenizer: Any) -> str:
        try:
            return recognise(model, tokenizer)
        except NotImplementedError:
            return name

    return get_vocab_base_pre


def run(script: str, name: str, words: list[str]) -> None:
    """Run a converter as if it had been started itself."""
    sys.path[0] = str(Path(script).parent)  # was this module's own folder, whose gguf.py would hide llama.cpp's gguf
    sys.argv = [script, *words]
    if name and (Path(script).parent / "conversion" / "base.py").is_file():
        model: Any = import_module("conversion.base").TextModel
        model.get_vocab_base_pre = named_where_unknown(model.get_vocab_base_pre, name)
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], sys.argv[3:])
