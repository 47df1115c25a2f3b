"""What cannot be exported is refused in one line, before anything is loaded."""

import json
from pathlib import Path

import pytest

from bakery.errors import ConfigError
from bakery.exporting.request import FORMS, ExportRequest, beyond_low_rank, check_request


def adapter(folder: Path, **changes) -> Path:
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "bias": "none", **changes}))
    return folder


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (ExportRequest("mergd"), "did you mean merged?"),
        (ExportRequest("onnx"), "allowed are merged, adapter"),
        (ExportRequest("merged", strength=1.6), "--strength: must be 0 to at most 1.5"),
        (ExportRequest("merged", strength=float("nan")), "--strength"),
        (ExportRequest("merged", dtype="int8"), "--dtype: must be one of float32"),
        (ExportRequest("merged", llama_cpp=Path()), "--llama_cpp: is for gguf and gguf-adapter"),
        (ExportRequest("merged", pre_tokenizer="qwen2"), "--pre_tokenizer: is for gguf and gguf-adapter"),
        (ExportRequest("mlx", python="python"), "--python: is for merged and adapter, which vLLM takes"),
        (ExportRequest("gguf"), "convert_hf_to_gguf.py: give the folder"),
        (ExportRequest("gguf-adapter", llama_cpp=Path()), "has no convert_lora_to_gguf.py"),
    ],
)
def test_what_cannot_be_met_is_refused(request_, says, tmp_path):
    with pytest.raises(ConfigError, match=says):
        check_request(request_, adapter(tmp_path))


@pytest.mark.parametrize(
    "more",
    [
        {"use_dora": True},
        {"bias": "all"},
        {"modules_to_save": ["lm_head"]},
        {"trainable_token_indices": [1]},
        {"target_parameters": ["mlp.experts"]},
    ],
)
def test_more_than_low_rank_matrices_goes_into_a_merged_model_only(more, tmp_path):
    folder, (name,) = adapter(tmp_path, **more), more
    for form in ("adapter", "mlx", "gguf-adapter"):
        with pytest.raises(ConfigError, match=rf"{name}: .*use --to merged"):
            check_request(ExportRequest(form), folder)
    check_request(ExportRequest("merged"), folder)
    with pytest.raises(ConfigError, match="--strength: only low-rank matrices"):
        check_request(ExportRequest("merged", strength=0.5), folder)


def test_another_kind_of_adapter_or_none_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        check_request(ExportRequest("merged"), tmp_path)
    with pytest.raises(ConfigError, match="of the type IA3; only LORA"):
        check_request(ExportRequest("merged"), adapter(tmp_path, peft_type="IA3"))
    assert beyond_low_rank({"use_dora": False, "modules_to_save": None, "r": 4}) == []


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    folder = adapter(tmp_path)
    request = ExportRequest("merged")
    assert request.output(folder) == folder / "export" / "merged"
    output = request.output(folder)
    output.mkdir(parents=True)
    check_request(request, folder)
    (output / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds other files"):
        check_request(ExportRequest("merged", overwrite=True), folder)
    (output / "export.json").write_text("{}")
    with pytest.raises(ConfigError, match="--overwrite"):
        check_request(request, folder)
    check_request(ExportRequest("merged", overwrite=True), folder)
    with pytest.raises(ConfigError, match="is a file"):
        check_request(ExportRequest("merged", output_dir=output / "notes.txt"), folder)


def test_the_run_itself_is_never_replaced(tmp_path):
    with pytest.raises(ConfigError, match="holds other files"):
        check_request(ExportRequest("merged", output_dir=tmp_path, overwrite=True), adapter(tmp_path))


def test_whole_models_are_told_from_adapters():
    assert [form for form in FORMS if ExportRequest(form).whole] == ["merged", "gguf"]
