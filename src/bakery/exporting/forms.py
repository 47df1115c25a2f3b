"""Every form written into a folder, beside it what transformers can run of it, and that loaded again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from peft import PeftModel
from safetensors import safe_open
from transformers import AutoConfig, PreTrainedTokenizerBase

from bakery.engine.distill.conditions import TRAINED
from bakery.engine.model.loading import load_adapter, load_model
from bakery.engine.model.structure import device_of, stop_ids
from bakery.exporting.asking import TransformersModel
from bakery.exporting.gguf import convert, modelfile
from bakery.exporting.low_rank import LowRankLayer, low_rank_layers, write_adapter
from bakery.exporting.mlx import WeightCheck, check_mlx, read_mlx, write_mlx
from bakery.exporting.mlx_model import MlxModel, load_in_mlx
from bakery.exporting.request import DTYPES, ExportRequest
from bakery.exporting.whole import merge, write_generation_config, write_model
from bakery.settings.config import ModelConfig
from bakery.settings.hub import only_cached
from bakery.settings.paths import base_of, resolve_model

ASKED = {
    "merged": "in transformers, as it was written",
    "adapter": "in transformers and peft, as it was written",
    "gguf": "in transformers, before it was converted",
    "gguf-adapter": "in transformers and peft, before it was converted",
    "mlx": "in transformers and peft, with the matrices read back",
}
"""By form, what transformers is asked."""
_RUNNABLE = ".runnable"
_SAFETENSORS = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}


@dataclass(frozen=True)
class Written:
    """What lies in the folder of an export.

    Args:
        runnable: the folder with what transformers can run of it.
        rank: of the adapter; of a whole model, that of what was merged.
        device: that it was written from, and can be run on.
        weights: what the weights add to the base, read back; for MLX.
    """

    runnable: Path
    rank: int
    device: torch.device
    weights: WeightCheck | None = None


def write_form(
    request: ExportRequest, model: PeftModel, tokenizer: PreTrainedTokenizerBase, base: str, dtype: str, folder: Path
) -> Written:
    """Write a form, its tokenizer, chat template and generation config along; the model is used up.

    Args:
        request: which form, at which strength.
        model: base and adapter in float32.
        tokenizer: the base's.
        base: its hub id or absolute folder.
        dtype: number format of what is written.
        folder: an empty one.

    Raises:
        ModelError: this adapter has no such form, or a converter fails.
    """
    rank = max(model.peft_config[TRAINED].r, *model.peft_config[TRAINED].rank_pattern.values(), 0)
    generation, device = model.get_base_model().generation_config, device_of(model)
    stops = sorted(tokenizer.convert_ids_to_tokens(sorted(stop_ids(model, tokenizer))))
    runnable = folder if request.to in ("merged", "adapter") else folder / _RUNNABLE
    runnable.mkdir(exist_ok=True)
    tokenizer.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(runnable))
    if request.whole:
        write_model(merge(model, request.strength), getattr(torch, dtype), runnable)
    else:
        layers = low_rank_layers(model, request.strength)
        rank = max(layer.rank for layer in layers)
        if request.to == "mlx":
            return _written_for_mlx(layers, model, base, dtype, folder, rank)
        write_adapter(layers, model.peft_config[TRAINED], base, getattr(torch, dtype), runnable)
        write_generation_config(generation, folder)
    if request.to in ("gguf", "gguf-adapter"):
        assert request.llama_cpp is not None
        convert(request.to, runnable, base, request.llama_cpp, dtype, folder, request.pre_tokenizer)
        (folder / "Modelfile").write_text(modelfile(request.to, stops, generation), encoding="utf-8")
    return Written(runnable, rank, device)


def _written_for_mlx(
    layers: tuple[LowRankLayer, ...], model: PeftModel, base: str, dtype: str, folder: Path, rank: int
) -> Written:
    """An adapter for MLX, and the matrices that were read back from it as one of peft."""
    network = model.get_base_model()
    write_mlx(layers, network.config.get_text_config().num_hidden_layers, getattr(torch, dtype), folder)
    write_generation_config(network.generation_config, folder)
    write_adapter(read_mlx(folder), model.peft_config[TRAINED], base, torch.float32, folder / _RUNNABLE)
    return Written(folder / _RUNNABLE, rank, device_of(model), check_mlx(folder, layers))


def load_form(
    request: ExportRequest,
    folder: Path,
    written: Written,
    dtype: str,
    config: ModelConfig,
    tokenizer: PreTrainedTokenizerBase,
    longest: int,
) -> tuple[TransformersModel | MlxModel, str, str | None]:
    """What can be run of an export, from its folder alone; of the settings only trust in the base's code counts.

    Returns:
        The model, what it is in words, and what was not run.

    Raises:
        ModelError: it cannot be loaded.
    """
    trusted, base = config.trust_remote_code, base_of(written.runnable)
    name, numbers = (str(written.runnable), dtype) if base is None else (base, "float32")
    named = ModelConfig(model_name_or_path=name, torch_dtype=cast(Any, numbers), trust_remote_code=trusted)
    model: Any = load_model(named)
    if base is not None:
        model = load_adapter(model, written.runnable)
    stops, not_run = stop_ids(model, tokenizer), None
    if request.to == "mlx" and base is not None:
        in_mlx = load_in_mlx(base, folder, stops, longest)
        if not isinstance(in_mlx, str):
            return in_mlx, "in mlx_lm, as it was written", None
        not_run = f"MLX itself: {in_mlx}"
    return TransformersModel(model.to(written.device), stops, longest), ASKED[request.to], not_run


def dtype_of(request: ExportRequest, adapter: Path, config: ModelConfig) -> str:
    """The number format to write: the one asked for, else that of the base or of the adapter as they are stored."""
    if request.dtype is not None:
        return request.dtype
    if request.whole:
        return base_dtype(config)
    with safe_open(str(adapter / "adapter_model.safetensors"), framework="pt") as file:
        name = _SAFETENSORS.get(file.get_slice(next(iter(file.keys()))).get_dtype(), "")
    return name if name in DTYPES else "float32"


def base_dtype(config: ModelConfig) -> str:
    """The number format in which a base is stored, where it is one of `DTYPES`; else float32."""
    source = resolve_model(config.model_name_or_path)
    trusted, local = config.trust_remote_code, only_cached(source)
    stored = AutoConfig.from_pretrained(source, trust_remote_code=trusted, local_files_only=local).dtype
    name = str(stored).removeprefix("torch.")
    return name if name in DTYPES else "float32"
