"""llama.cpp's name of a pre-tokenizer is told by its description alone, and by none that is merely alike."""

import json

import pytest
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from bakery.exporting.pre_tokenizers import pre_tokenizer_name

QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3 = QWEN2.replace(r"\p{N}| ?", r"\p{N}{1,3}| ?")


def split(pattern, **options):
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, **{"use_regex": False, **options})
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), byte_level])


@pytest.mark.parametrize(
    ("pre_tokenizer", "name"),
    [
        (split(QWEN2), "qwen2"),
        (split(LLAMA3), "llama-bpe"),
        (pre_tokenizers.ByteLevel(add_prefix_space=False), "gpt-2"),
        (pre_tokenizers.ByteLevel(add_prefix_space=True), None),
        (split(QWEN2, use_regex=True), None),
        (split(r"\p{L}+|\s"), None),
        (pre_tokenizers.Whitespace(), None),
        (pre_tokenizers.Sequence([split(QWEN2), pre_tokenizers.Digits()]), None),
    ],
)
def test_a_saved_tokenizer_is_recognised(pre_tokenizer, name, tmp_path):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert pre_tokenizer_name(tmp_path) == name


def test_a_folder_without_one_has_no_name(tmp_path):
    assert pre_tokenizer_name(tmp_path) is None
    (tmp_path / "tokenizer.json").write_text(json.dumps({"pre_tokenizer": None}))
    assert pre_tokenizer_name(tmp_path) is None
