"""Loading, adapting and saving models, and every reach into transformers and peft that this needs."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig as PeftLoraConfig
from peft import PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from bakery.engine.model.lm_head import LMHead
from bakery.errors import ConfigError, ModelError
from bakery.settings.config import LoraConfig, ModelConfig
from bakery.settings.paths import resolve_model

_ALL_LINEAR = ("all-linear", "all")


def load_tokenizer(config: ModelConfig) -> PreTrainedTokenizerBase:
    """The model's tokenizer, with a pad token (the end-of-text token where it has none of its own).

    Raises:
        ConfigError, ModelError: when it cannot be loaded.
    """
    source = resolve_model(config.model_name_or_path)
    with _explained(config.model_name_or_path, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=config.trust_remote_code)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return cast(PreTrainedTokenizerBase, tokenizer)


def load_model(config: ModelConfig) -> PreTrainedModel:
    """The base model in evaluation mode, on the CPU or, quantised, where bitsandbytes puts it.

    Raises:
        ConfigError, ModelError: when it cannot be loaded.
    """
    source = resolve_model(config.model_name_or_path)
    arguments: dict[str, Any] = {"trust_remote_code": config.trust_remote_code, "dtype": config.torch_dtype or "auto"}
    if config.attn_implementation:
        arguments["attn_implementation"] = config.attn_implementation
    if config.load_in_4bit:
        arguments["quantization_config"] = _four_bit(config)
    with _explained(config.model_name_or_path, "model"):
        model = AutoModelForCausalLM.from_pretrained(source, use_safetensors=True, **arguments)
    return cast(PreTrainedModel, model.eval())


def attach_adapter(model: PreTrainedModel, config: LoraConfig) -> PeftModel:
    """A fresh LoRA adapter on the model; its output is unchanged until the first step.

    Raises:
        ConfigError: when `target_modules` names no module of this model.
    """
    modules = config.target_modules if isinstance(config.target_modules, str) else list(config.target_modules)
    if modules in _ALL_LINEAR or modules in [[name] for name in _ALL_LINEAR]:
        modules = "all-linear"
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
            return cast(PeftModel, get_peft_model(model, lora))
    except ValueError as error:
        raise ConfigError(f"target_modules: {str(error).splitlines()[0]}") from error


def load_adapter(model: PreTrainedModel, folder: str | Path) -> PeftModel:
    """A trained adapter on its base model, frozen. Only safetensors weights are read.

    Raises:
        ModelError: when the folder is no adapter or does not fit the model.
    """
    folder = Path(folder)
    for needed in ("adapter_config.json", "adapter_model.safetensors"):
        if not (folder / needed).is_file():
            raise ModelError(f"{folder} is not an adapter: it has no {needed}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft uses transformers' older names
            return cast(PeftModel, PeftModel.from_pretrained(model, str(folder)).eval())
    except (RuntimeError, ValueError, KeyError) as error:
        raise ModelError(f"{folder} does not fit this base model: {str(error).splitlines()[0]}") from error


@contextmanager
def adapter_off(model: nn.Module) -> Iterator[None]:
    """The model as it was before the adapter, in evaluation mode: the teacher and the base.

    Whatever was training before trains again afterwards.
    """
    inner = unwrap(model)
    if not isinstance(inner, PeftModel):
        raise ModelError("the model carries no adapter: without one there is nothing to switch off for the teacher")
    training = inner.training
    inner.eval()
    try:
        with inner.disable_adapter():
            yield
    finally:
        inner.train(training)


@contextmanager
def adapter_strength(model: nn.Module, strength: float) -> Iterator[None]:
    """The model with its adapter at `strength` times its trained scale inside the block.

    Raises:
        ModelError: the adapter has no scale, and another than the trained one is asked for.
    """
    layers = _lora_layers(model)
    if not layers and strength != 1:
        raise ModelError(f"strength {strength:g}: only a LoRA adapter can be made stronger or weaker; use strength 1")
    kept = [dict(layer.scaling) for layer in layers]
    try:
        for layer, scales in zip(layers, kept, strict=True):
            layer.scaling.update({name: scale * strength for name, scale in scales.items()})
        yield
    finally:
        for layer, scales in zip(layers, kept, strict=True):
            layer.scaling.update(scales)


@contextmanager
def merged_weights(model: nn.Module) -> Iterator[float | None]:
    """The model with its adapter merged into the base weights inside the block; afterwards exactly as before.

    Yields:
        The share of the adapter's change that rounding to the base's number format has lost (0: none, 1: as large an
        error as the change itself); None where the base is quantised and its weights cannot be compared.

    Raises:
        ModelError: the adapter cannot be merged.
    """
    layers = _lora_layers(model)
    if not layers:
        raise ModelError("only a LoRA adapter can be merged")
    kept = [(layer.get_base_layer(), layer.get_base_layer().weight) for layer in layers]
    copies = [weight.data.clone() for _, weight in kept]
    wanted, lost, comparable = 0.0, 0.0, all(weight.is_floating_point() for weight in copies)
    try:
        for layer, copy in zip(layers, copies, strict=True):
            change = sum(layer.get_delta_weight(name).detach().float() for name in layer.active_adapters)
            layer.merge()
            if comparable:
                made = layer.get_base_layer().weight.data.float() - copy.float()
                wanted += float((change**2).sum())
                lost += float(((made - change) ** 2).sum())
        yield (lost / wanted) ** 0.5 if comparable and wanted > 0 else 0.0 if comparable else None
    finally:
        for layer, (base, weight), copy in zip(layers, kept, copies, strict=True):
            base.weight = weight
            base.weight.data = copy
            layer.merged_adapters.clear()


def _lora_layers(model: nn.Module) -> list[Any]:
    return [module for module in unwrap(model).modules() if isinstance(module, LoraLayer)]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model without dropout inside the block, as it was afterwards."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def unwrap(model: nn.Module) -> nn.Module:
    """The model inside data-parallel wrappers."""
    while isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel):
        model = model.module
    return model


def base_of(model: nn.Module) -> PreTrainedModel:
    """The transformers model inside wrappers and peft; adapter layers stay where they are."""
    inner = unwrap(model)
    return cast(PreTrainedModel, inner.get_base_model() if isinstance(inner, PeftModel) else inner)


def is_adapter_weight(name: str) -> bool:
    """Whether a parameter of this name belongs to an adapter rather than to the base model."""
    return ".lora_" in name or ".modules_to_save." in name


def decoder(model: nn.Module) -> nn.Module:
    """The part of the model below its output head: token ids to final hidden states."""
    return cast(nn.Module, base_of(model).get_decoder())


def read_head(model: nn.Module) -> LMHead | None:
    """The output head as a formula, or None where it is adapted or trained: teacher and student differ there."""
    base = base_of(model)
    head = base.get_output_embeddings()
    if type(head) is not nn.Linear or any(parameter.requires_grad for parameter in head.parameters()):
        return None
    config = base.config.get_text_config()
    scale = getattr(config, "logit_scale", None) or 1.0 / (getattr(config, "logits_scaling", None) or 1.0)
    return LMHead(
        weight=head.weight.detach(),
        bias=None if head.bias is None else head.bias.detach(),
        scale=float(scale),
        softcap=getattr(config, "final_logit_softcapping", None),
    )


def stop_ids(model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Every token that ends a turn: those of the generation config and the tokenizer's own."""
    generation = getattr(base_of(model), "generation_config", None)
    configured = getattr(generation, "eos_token_id", None)
    ids = [configured] if isinstance(configured, int) else list(configured or [])
    return frozenset(i for i in [*ids, tokenizer.eos_token_id] if i is not None)


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
    except (OSError, ValueError, KeyError, ImportError) as error:
        logging.getLogger(__name__).debug("loading %s failed", name, exc_info=error)
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ModelError(f"cannot load the {what} {name!r}: {first}") from error


def _four_bit(config: ModelConfig) -> Any:
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        raise ConfigError("load_in_4bit needs bitsandbytes: pip install 'bakery[qlora]'") from None
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=config.bnb_4bit_quant_type,
        bnb_4bit_use_double_quant=config.bnb_4bit_use_double_quant,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
