"""Which number format is written, and what transformers can run of a form."""

import json

import pytest
import torch

from bakery.engine.model.loading import load_adapter
from bakery.exporting.asking import TransformersModel
from bakery.exporting.forms import dtype_of, load_form, write_form
from bakery.exporting.request import ExportRequest
from bakery.settings.config import ModelConfig
from tests.engine_support import tiny_base, tokenizer
from tests.exporting.support import stand_in_llama_cpp


def test_without_a_word_the_number_format_stays(run_folder, saved_base, tmp_path):
    config = ModelConfig(model_name_or_path=saved_base)
    assert dtype_of(ExportRequest("merged"), run_folder, config) == "float32"
    assert dtype_of(ExportRequest("adapter"), run_folder, config) == "float32"
    assert dtype_of(ExportRequest("merged", dtype="float16"), run_folder, config) == "float16"
    assert dtype_of(ExportRequest("merged"), run_folder, ModelConfig(model_name_or_path="starter")) == "bfloat16"


@pytest.mark.parametrize(
    ("form", "files"),
    [
        ("merged", {"config.json", "model.safetensors"}),
        ("adapter", {"adapter_config.json", "adapter_model.safetensors"}),
        ("gguf", {"model.gguf", "Modelfile", ".runnable"}),
        ("gguf-adapter", {"adapter.gguf", "Modelfile", ".runnable"}),
        ("mlx", {"adapter_config.json", "adapters.safetensors", ".runnable"}),
    ],
)
def test_every_form_is_written_with_tokenizer_and_template_and_can_be_run(
    form, files, run_folder, saved_base, tmp_path
):
    llama_cpp = stand_in_llama_cpp(tmp_path / "cpp") if form.startswith("gguf") else None
    request = ExportRequest(form, strength=0.5, llama_cpp=llama_cpp)
    folder = tmp_path / "out"
    folder.mkdir()
    model = load_adapter(tiny_base(), run_folder)
    written = write_form(request, model, tokenizer(), saved_base, "float32", folder)
    beside = {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja"}
    beside |= set() if form == "gguf" else {"generation_config.json"}
    assert {path.name for path in folder.iterdir()} == files | beside
    assert written.rank == 4
    config = ModelConfig(model_name_or_path=saved_base)
    loaded, _, not_run = load_form(request, folder, written, "float32", config, tokenizer(), 4)
    assert isinstance(loaded, TransformersModel)
    assert (not_run is None) == (form != "mlx")
    assert len(loaded.answer((1, 5, 9))) <= 4
    assert loaded.network.dtype == torch.float32


def test_a_converter_gets_what_transformers_ran(run_folder, saved_base, tmp_path):
    request = ExportRequest("gguf", llama_cpp=stand_in_llama_cpp(tmp_path / "cpp"))
    written = write_form(request, load_adapter(tiny_base(), run_folder), tokenizer(), saved_base, "bfloat16", tmp_path)
    asked = json.loads((tmp_path / "model.gguf").read_text())
    assert asked["source"] == str(written.runnable)
    assert {"config.json", "model.safetensors", "tokenizer.json", "generation_config.json"} <= set(asked["files"])
    assert 'PARAMETER stop "<|im_end|>"' in (tmp_path / "Modelfile").read_text()
