"""A converter runs as if started itself, and a pre-tokenizer that it does not recognise gets the name that is given."""

import subprocess
import sys
from pathlib import Path

import pytest

from bakery.exporting import gguf_converter
from bakery.exporting.gguf_converter import named_where_unknown

CONVERTER = """\
import sys
import gguf
from conversion.base import TextModel
print(gguf.OWNER, sys.argv[1:], TextModel().get_vocab_base_pre(sys.argv[1]), __name__)
"""
BASE = """\
class TextModel:
    def get_vocab_base_pre(self, tokenizer):
        if tokenizer == "known":
            return "llama-bpe"
        raise NotImplementedError("BPE pre-tokenizer was not recognized")
"""


def unknown(model, tokenizer):
    raise NotImplementedError


def test_a_name_is_given_only_where_there_is_none():
    assert named_where_unknown(unknown, "qwen2")(None, None) == "qwen2"
    assert named_where_unknown(lambda *_: "llama-bpe", "qwen2")(None, None) == "llama-bpe"


@pytest.mark.parametrize(
    ("name", "tokenizer", "says"),
    [
        ("qwen2", "own", "llama.cpp ['own', '--x'] qwen2 __main__"),
        ("qwen2", "known", "llama.cpp ['known', '--x'] llama-bpe __main__"),
        ("", "known", "llama.cpp ['known', '--x'] llama-bpe __main__"),
        ("", "own", "not recognized"),
    ],
)
def test_the_converter_sees_its_own_folder_and_words(name, tokenizer, says, tmp_path):
    (tmp_path / "conversion").mkdir()
    (tmp_path / "conversion" / "base.py").write_text(BASE)
    (tmp_path / "gguf.py").write_text("OWNER = 'llama.cpp'")
    (tmp_path / "convert.py").write_text(CONVERTER)
    words = [sys.executable, str(Path(gguf_converter.__file__)), str(tmp_path / "convert.py"), name, tokenizer, "--x"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert says in done.stdout + done.stderr
    assert (done.returncode == 0) == (says != "not recognized")
