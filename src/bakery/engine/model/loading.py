"""Loading, adapting and saving models, and every reach into transformers and peft that this needs."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig as PeftLoraConfig
from peft import PeftModel, get_peft_model, load_peft_weights, set_peft_model_state_dict
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.pytorch_utils import Conv1D

from bakery.engine.model.adapters import is_adapter_weight, lora_layers
from bakery.engine.model.foreign_adapter import check_finite, checked_adapter
from bakery.engine.model.foreign_model import (
    FAILURES,
    check_model_folder,
    check_model_size,
    check_quantised,
    check_weights,
)
from bakery.engine.model.structure import context_of, unwrap
from bakery.errors import BakeryError, ConfigError, ModelError
from bakery.scoring.answers import full_matches
from bakery.settings.config import LoraConfig, ModelConfig
from bakery.settings.hub import missing, only_cached, unreachable
from bakery.settings.paths import resolve_model
from bakery.settings.precision import is_slow_here
from bakery.sharing.hub import HUB_ERRORS
from bakery.text import excerpt, install_extra, listed, suggestion

_TRIAL = "Zxqj, 7 ÄÖ 漢字 🙂\n"
"""What every tokenizer takes apart, if only into unknown tokens."""
_ALL_LINEAR = ("all-linear", "all")


def load_tokenizer(config: ModelConfig) -> PreTrainedTokenizerBase:
    """The model's tokenizer, with a pad token (the end-of-text token where it has none of its own).

    Raises:
        ConfigError, ModelError: when it cannot be loaded.
    """
    source = resolve_model(config.model_name_or_path)
    check_model_folder(source)
    with _explained(config.model_name_or_path, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(source, **_arguments(config, source))
        if backend := getattr(tokenizer, "backend_tokenizer", None):  # where its file cuts or fills up every text
            backend.no_truncation()
            backend.no_padding()
        tokenizer(_TRIAL, add_special_tokens=False)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return cast(PreTrainedTokenizerBase, tokenizer)


def context_length(config: ModelConfig) -> int | None:
    """How many tokens the model reads at most; None where its configuration does not say. Loads no weights.

    Raises:
        ConfigError, ModelError: when the configuration cannot be loaded.
    """
    source = resolve_model(config.model_name_or_path)
    check_model_folder(source)
    with _explained(config.model_name_or_path, "model"):
        loaded = AutoConfig.from_pretrained(source, **_arguments(config, source))
    return context_of(loaded)


def load_model(config: ModelConfig) -> PreTrainedModel:
    """The base model in evaluation mode, on the CPU or, quantised, where bitsandbytes puts it.

    Raises:
        ConfigError, ModelError: when it cannot be loaded.
    """
    source = resolve_model(config.model_name_or_path)
    check_model_folder(source)
    arguments: dict[str, Any] = {**_arguments(config, source), "dtype": config.dtype or "auto"}
    if config.attn_implementation:
        arguments["attn_implementation"] = config.attn_implementation
    if config.load_in_4bit:
        arguments["quantization_config"] = _four_bit(config)
    with _explained(config.model_name_or_path, "model"):
        described = AutoConfig.from_pretrained(source, **_arguments(config, source))
        if not config.trust_remote_code:
            check_model_size(source, described)
        model = AutoModelForCausalLM.from_pretrained(source, use_safetensors=True, **arguments)
    check_quantised(model, config.model_name_or_path)
    check_weights(model, config.model_name_or_path)
    model.config.return_dict = True  # which a description may turn off
    if config.load_in_4bit or getattr(model, "is_quantized", False):
        _keep_differentiable(model)
    elif config.dtype == "auto" and is_slow_here(model.dtype):
        model = model.float()
    return cast(PreTrainedModel, model.eval())


def attach_adapter(model: PreTrainedModel, config: LoraConfig) -> PeftModel:
    """A fresh LoRA adapter on the model; its output is unchanged until the first step.

    Raises:
        ConfigError: `target_modules` names no module of this model, or `r` is more than any of them can use.
    """
    modules = config.target_modules if isinstance(config.target_modules, str) else list(config.target_modules)
    if modules in _ALL_LINEAR or modules in [[name] for name in _ALL_LINEAR]:
        modules = "all-linear"
    elif isinstance(modules, str) and modules.isidentifier():
        modules = [modules]  # one name, as the command line gives it, and no pattern
    modules = _check_names(model, modules)
    lora = PeftLoraConfig(
        r=config.r,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        bias=config.bias,
        target_modules=modules,
        task_type="CAUSAL_LM",
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft uses transformers' older names
            warnings.filterwarnings("ignore", message="fan_in_fan_out is set to")  # and then sets it right by itself
            # peft's presets for mixtures of experts speak of weights that "all-linear" leaves alone.
            warnings.filterwarnings("ignore", message="The following (rank|alpha)_pattern keys")
            adapted = cast(PeftModel, get_peft_model(model, lora))
    except ValueError as error:
        raise ConfigError(f"target_modules: {str(error).splitlines()[0]}") from error
    _check_rank(adapted, config.r)
    return adapted


def _check_names(model: PreTrainedModel, modules: str | list[str]) -> str | list[str]:
    """The layers that a pattern matches: peft's own matching is not bounded in time. A list as it is.

    Raises:
        ConfigError: no layer has a name of the list, which peft passes over in silence, or the pattern matches none.
    """
    if modules == "all-linear":
        return modules
    known = [name for name, _ in model.named_modules()]
    head = model.get_output_embeddings()
    linear = (name for name, part in model.named_modules() if isinstance(part, nn.Linear | Conv1D) and part is not head)
    names = list(dict.fromkeys(name.rpartition(".")[2] for name in linear))
    if isinstance(modules, str):
        try:
            matched = full_matches(modules, known)
        except ConfigError as error:
            raise ConfigError(f"target_modules: {error}") from error
        if not matched:
            whole = next((name for name in known if name.endswith(tuple(names))), "")
            raise ConfigError(
                f"target_modules: the pattern {excerpt(modules)!r} matches no whole name of a layer, such as {whole}; "
                f"mend it, or give a list of {listed(names, 16)}"
            )
        return matched
    for wanted in modules:
        if not any(name == wanted or name.endswith(f".{wanted}") for name in known):
            remedy = suggestion(wanted, names, "all-linear takes them all")
            raise ConfigError(
                f"target_modules: no layer is called {wanted!r}; allowed are {listed(names, 16)}; {remedy}"
            )
    return modules


def _check_rank(adapted: PeftModel, rank: int) -> None:
    """Refuse a rank that is more than the smaller side of every adapted layer: it adds nothing."""
    widest = max(min(layer.in_features, layer.out_features) for layer in lora_layers(adapted))
    if rank > widest:
        raise ConfigError(
            f"r: {rank} is more than the layers of this model can use; at most {widest}, and 16 is common"
        )


def load_adapter(model: PreTrainedModel, folder: str | Path) -> PeftModel:
    """A trained adapter on its base model, frozen. Only safetensors weights are read.

    Raises:
        ModelError: when the folder is no adapter or does not fit the model.
    """
    with _fitting(Path(folder), model) as checked:
        adapted = PeftModel.from_pretrained(model, str(checked)).eval()
    check_finite(adapted, Path(folder))
    return cast(PeftModel, adapted)


def load_further_adapter(model: PeftModel, folder: str | Path, name: str) -> None:
    """Another trained adapter beside those that the model has, frozen, under a name of its own; the same one acts on.

    Raises:
        ModelError: when the folder is no adapter, or does not fit the model and its other adapters.
    """
    with _fitting(Path(folder), model.get_base_model()) as checked:
        model.load_adapter(str(checked), adapter_name=name, is_trainable=False)
    check_finite(model, Path(folder))
    if any(getattr(config, "bias", "none") != "none" for config in model.peft_config.values()):
        raise ModelError(
            f"{folder} cannot be loaded beside the other adapters: one of them has trained biases (bias: all or "
            "lora_only), which are the base's own and would act on all; only adapters with bias: none go together"
        )
    model.eval()


def load_weights(model: nn.Module, folder: Path) -> None:
    """Give the acting adapter of a model the weights of a saved one; everything else stays as it is.

    Raises:
        ModelError: when the folder is no adapter, does not fit the model, or has a weight that is not finite.
    """
    peft_model = cast(PeftModel, unwrap(model))
    acting = peft_model.active_adapter
    with _fitting(folder, model) as checked:
        loaded = set_peft_model_state_dict(peft_model, load_peft_weights(str(checked)), acting)
    missing = [name for name in loaded.missing_keys if is_adapter_weight(name) and f".{acting}." in f"{name}."]
    for names, fault in ((missing, "misses"), (loaded.unexpected_keys, "has, and the bake has not,")):
        if names:
            raise ModelError(f"{folder}: the adapter there {fault} the weight {excerpt(names[0], 200)}")
    check_finite(peft_model, folder)


@contextmanager
def _fitting(folder: Path, model: nn.Module) -> Iterator[Path]:
    """The folder to load an adapter from; what peft says of one that does not fit becomes one line."""
    with checked_adapter(folder, model) as checked:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # peft uses transformers' older names
                warnings.filterwarnings("error", message="Found missing adapter keys")
                yield checked
        except (*FAILURES, UserWarning) as error:
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise ModelError(f"{folder} does not fit this base model: {excerpt(first, 200)}") from error


def save_adapter(model: nn.Module, tokenizer: PreTrainedTokenizerBase, folder: str | Path) -> None:
    """Adapter, tokenizer and chat template into one folder, readable by whoever may read the folder."""
    folder = Path(folder)
    unwrap(model).save_pretrained(str(folder), safe_serialization=True)  # type: ignore[operator]
    tokenizer.save_pretrained(str(folder))
    weights = folder / "adapter_model.safetensors"
    # safetensors writes through a private temporary file, which would leave the adapter unreadable for a server's user.
    weights.chmod((folder / "adapter_config.json").stat().st_mode)


@contextmanager
def _explained(name: str, what: str) -> Iterator[None]:
    """Library failures while loading become one line that says what to do."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    except BakeryError:
        raise
    except Exception as error:  # the tokenizers library raises Exception itself
        if not isinstance(error, (*FAILURES, *HUB_ERRORS)) and type(error) is not Exception:
            raise
        logging.getLogger(__name__).debug("loading %s failed", name, exc_info=error)
        if gone := unreachable(error):
            raise ModelError(missing(name, what, gone)) from error
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        is_here = Path(resolve_model(name)).is_dir()
        remedy = "" if is_here else f"; hf cache verify {name} tells whether a file was damaged on its way"
        raise ModelError(f"cannot load the {what} {name!r}: {first}{remedy}") from error


def _arguments(config: ModelConfig, source: str) -> dict[str, bool]:
    """How every part of a model is read: whether with its own code, and whether from the cache alone."""
    return {"trust_remote_code": config.trust_remote_code, "local_files_only": only_cached(source)}


def _four_bit(config: ModelConfig) -> Any:
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        raise ConfigError(f"load_in_4bit needs bitsandbytes: {install_extra('qlora')}") from None
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=config.bnb_4bit_quant_type,
        bnb_4bit_use_double_quant=config.bnb_4bit_use_double_quant,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def _keep_differentiable(model: nn.Module) -> None:
    """Keep bitsandbytes from packing the weights for a kernel without a gradient when a CPU's model is first asked."""
    for module in model.modules():
        if "support_avx512bf16_for_cpu" in vars(module):
            vars(module)["support_avx512bf16_for_cpu"] = False
