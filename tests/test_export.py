"""An export from a run folder by the real command: written whole, asked again, or refused with nothing left."""

import json
import shutil

import pytest
import torch
from peft import AutoPeftModelForCausalLM
from transformers import AutoModelForCausalLM, AutoTokenizer

from bakery.cli import main
from bakery.errors import ConfigError, ModelError
from bakery.export import run_export
from bakery.exporting.request import ExportRequest
from tests.exporting.conftest import run_folder  # noqa: F401
from tests.exporting.support import QUIET, make_run, settings_of, stand_in_llama_cpp


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("form", ["merged", "adapter", "mlx"])
def test_all_answers_are_equal_at_every_strength(form, strength, run_folder, tmp_path):  # noqa: F811
    request = ExportRequest(form, strength, "float32", tmp_path / "out")
    result = run_export(settings_of(run_folder), run_folder, request, progress=QUIET)
    answers = result.answers
    assert (answers.questions, answers.equal_by_ids, answers.equal_as_text) == (4, 4, 4)
    assert answers.largest_difference < 1e-3
    assert result.text.same_tokens == 4
    saved = json.loads((tmp_path / "out" / "export.json").read_text())
    assert (saved["to"], saved["strength"], saved["answers"]["equal_by_ids"]) == (form, strength, 4)
    assert f"strength {strength:g}" in (tmp_path / "out" / "README.md").read_text()
    assert not (tmp_path / "out" / ".runnable").exists()


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_the_command_writes_what_plain_libraries_load(saved_base, tmp_path, capsys):
    folder = make_run(tmp_path / "run", saved_base)
    assert main(["export", str(folder), "--to", "merged", "--dtype", "bfloat16", "-q"]) == 0
    assert capsys.readouterr().out.startswith(f"{folder}/export/merged: merged, bfloat16, strength 1\n")
    merged = folder / "export" / "merged"
    assert AutoModelForCausalLM.from_pretrained(merged).dtype == torch.bfloat16
    assert AutoTokenizer.from_pretrained(merged).chat_template
    assert main(["export", str(folder), "--to", "merged", "-q"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main(["export", str(folder), "--to", "merged", "-q", "--overwrite", "--strength", "0.5"]) == 0
    assert json.loads((merged / "export.json").read_text())["strength"] == 0.5
    assert main(["export", str(folder), "--to", "adapter", "-q", "--output_dir", str(tmp_path / "a")]) == 0
    assert AutoPeftModelForCausalLM.from_pretrained(tmp_path / "a").peft_config["default"].lora_alpha == 4


def test_gguf_files_come_with_a_modelfile(run_folder, tmp_path):  # noqa: F811
    request = ExportRequest("gguf", output_dir=tmp_path / "out", llama_cpp=stand_in_llama_cpp(tmp_path / "cpp"))
    result = run_export(settings_of(run_folder), run_folder, request, progress=QUIET)
    assert result.asked == "in transformers, before it was converted"
    assert "model.gguf itself" in result.not_run
    assert {"model.gguf", "Modelfile", "export.json"} <= {path.name for path in (tmp_path / "out").iterdir()}
    (tmp_path / "cpp" / "fail").touch()
    request = ExportRequest("gguf", output_dir=tmp_path / "other", llama_cpp=tmp_path / "cpp")
    with pytest.raises(ModelError, match="not recognized"):
        run_export(settings_of(run_folder), run_folder, request, progress=QUIET)
    assert {path.name for path in tmp_path.iterdir()} == {"out", "cpp"}


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`:UserWarning")
@pytest.mark.parametrize("more", [{"use_dora": True}, {"modules_to_save": ["lm_head"]}])
def test_more_than_low_rank_matrices_can_be_merged(more, saved_base, tmp_path, capsys):
    folder = make_run(tmp_path / "run", saved_base, **more)
    assert main(["export", str(folder), "--to", "adapter", "-q"]) == 2
    assert "use --to merged" in capsys.readouterr().err
    request = ExportRequest("merged", dtype="float32")
    result = run_export(settings_of(folder), folder, request, progress=QUIET)
    assert result.answers.equal_by_ids == 4
    assert result.answers.largest_difference < 1e-3


def test_text_that_becomes_other_tokens_is_refused_with_nothing_left(run_folder, tmp_path, monkeypatch):  # noqa: F811
    from bakery import export

    def with_another_template(*given, **options):
        tokenizer = AutoTokenizer.from_pretrained(*given, **options)
        tokenizer.chat_template = "!" + tokenizer.chat_template
        return tokenizer

    monkeypatch.setattr(export, "AutoTokenizer", type("Other", (), {"from_pretrained": with_another_template}))
    request = ExportRequest("adapter", output_dir=tmp_path / "out")
    with pytest.raises(ConfigError, match="4 of 4 questions become other tokens"):
        run_export(settings_of(run_folder), run_folder, request, progress=QUIET)
    assert list(tmp_path.iterdir()) == []
    request = ExportRequest("adapter", output_dir=tmp_path / "out", allow_other_tokens=True)
    result = run_export(settings_of(run_folder), run_folder, request, progress=QUIET)
    assert result.text.same_tokens == 0
    assert result.answers.equal_by_ids == 4


def test_a_base_beside_a_moved_run_is_named_by_its_whole_path(saved_base, tmp_path):
    base = shutil.copytree(saved_base, tmp_path / "was" / "base")
    make_run(tmp_path / "was" / "run", str(base))
    config = tmp_path / "was" / "run" / "bakery.yaml"
    config.write_text(json.dumps({**json.loads(config.read_text()), "model_name_or_path": "../base"}))
    folder = (tmp_path / "was").rename(tmp_path / "is") / "run"
    result = run_export(settings_of(folder), folder, ExportRequest("adapter"), progress=QUIET)
    described = json.loads((folder / "export" / "adapter" / "adapter_config.json").read_text())
    assert described["base_model_name_or_path"] == result.base_model == str(tmp_path / "is" / "base")
    assert result.answers.equal_by_ids == 4
