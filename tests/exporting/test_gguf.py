"""llama.cpp's converters are asked with the base resolved, and what they say reaches the user as one line."""

import json

import pytest
from transformers import GenerationConfig

from bakery.errors import ModelError
from bakery.exporting.gguf import CONFIGURATION, convert, convert_base, downloaded, modelfile
from tests.exporting.support import stand_in_llama_cpp


@pytest.mark.parametrize(("form", "file"), [("gguf", "model.gguf"), ("gguf-adapter", "adapter.gguf")])
def test_a_converter_gets_source_type_and_base(form, file, saved_base, tmp_path):
    written = convert(form, tmp_path, saved_base, stand_in_llama_cpp(tmp_path / "cpp"), "bfloat16", tmp_path)
    assert written == tmp_path / file
    asked = json.loads(written.read_text())
    assert (asked["source"], asked["outtype"]) == (str(tmp_path), "bf16")
    assert asked["base"] == (saved_base if form == "gguf-adapter" else None)


def test_a_converter_that_fails_is_one_line(saved_base, tmp_path):
    folder = stand_in_llama_cpp(tmp_path / "cpp")
    (folder / "fail").touch()
    with pytest.raises(
        ModelError, match=r"convert_hf_to_gguf.py ended with 1: .*not recognized; give the name"
    ) as caught:
        convert("gguf", tmp_path, saved_base, folder, "float32", tmp_path)
    assert len(str(caught.value)) < 700
    (folder / "convert_hf_to_gguf.py").write_text("import nothing_of_this_name")
    with pytest.raises(ModelError, match="pip install gguf"):
        convert("gguf", tmp_path, saved_base, folder, "float32", tmp_path)
    (folder / "convert_hf_to_gguf.py").write_text("")
    with pytest.raises(ModelError, match="it said nothing"):
        convert("gguf", tmp_path, saved_base, folder, "float32", tmp_path)


def test_a_base_that_is_not_in_the_cache_is_refused(saved_base):
    assert downloaded(saved_base, CONFIGURATION) == saved_base
    with pytest.raises(ModelError, match="nobody/nothing"):
        downloaded("nobody/nothing", CONFIGURATION)


def test_the_base_of_an_adapter_is_converted_beside_it(saved_base, tmp_path):
    written = convert_base(saved_base, stand_in_llama_cpp(tmp_path / "cpp"), "float16", tmp_path)
    assert written == tmp_path / "base.gguf"
    asked = json.loads(written.read_text())
    assert (asked["source"], asked["outtype"], asked["base"]) == (saved_base, "f16", None)


def test_a_modelfile_names_files_stops_and_how_answers_are_drawn():
    text = modelfile("gguf", ["<|im_end|>"], None)
    assert [line for line in text.splitlines() if not line.startswith("#")] == [
        "FROM ./model.gguf",
        'PARAMETER stop "<|im_end|>"',
        "PARAMETER temperature 0",
        "PARAMETER repeat_penalty 1",
    ]
    assert "chat template is not carried" in text
    generation = GenerationConfig(do_sample=True, temperature=0.6, repetition_penalty=1.05)
    text = modelfile("gguf-adapter", [], generation)
    assert "FROM ./base.gguf\nADAPTER ./adapter.gguf\n" in text
    assert "temperature 0.6\nPARAMETER repeat_penalty 1.05" in text
