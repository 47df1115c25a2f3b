"""Tiny random models of many architectures: large weights, so that a wrong path cannot hide in flat distributions."""

from collections.abc import Callable
from typing import Any

import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedModel,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
    Qwen3NextConfig,
    Qwen3NextForCausalLM,
)

VOCABULARY = 97
_COMMON: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "initializer_range": 0.3,
}
_BUILDERS: dict[str, Callable[..., PreTrainedModel]] = {
    "llama": lambda **common: LlamaForCausalLM(LlamaConfig(**common)),
    "qwen3": lambda **common: Qwen3ForCausalLM(Qwen3Config(**common, head_dim=8, tie_word_embeddings=True)),
    "mistral": lambda **common: MistralForCausalLM(MistralConfig(**common, sliding_window=None)),
    "mistral-window": lambda **common: MistralForCausalLM(MistralConfig(**common, sliding_window=16)),
    "phi3": lambda **common: Phi3ForCausalLM(Phi3Config(**common)),
    "gemma2": lambda **common: Gemma2ForCausalLM(
        Gemma2Config(**common, head_dim=8, query_pre_attn_scalar=8, sliding_window=16, attn_logit_softcapping=5.0)
    ),
    "gemma3": lambda **common: Gemma3ForCausalLM(Gemma3TextConfig(**common, head_dim=8, sliding_window=16)),
    "qwen3-moe": lambda **common: Qwen3MoeForCausalLM(
        Qwen3MoeConfig(
            **common,
            head_dim=8,
            moe_intermediate_size=16,
            num_experts=4,
            num_experts_per_tok=2,
            experts_implementation="eager",  # the grouped matmul knows no float64
        )
    ),
    "gpt2": lambda **common: GPT2LMHeadModel(
        GPT2Config(
            vocab_size=common["vocab_size"],
            n_embd=32,
            n_layer=3,
            n_head=4,
            n_positions=256,
            initializer_range=0.3,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            resid_pdrop=0.0,
            bos_token_id=1,
            eos_token_id=2,
        )
    ),
    "qwen3-next": lambda **common: Qwen3NextForCausalLM(
        Qwen3NextConfig(
            **{**common, "num_hidden_layers": 4},
            head_dim=8,
            linear_num_key_heads=2,
            linear_num_value_heads=4,
            linear_key_head_dim=8,
            linear_value_head_dim=8,
            moe_intermediate_size=16,
            shared_expert_intermediate_size=16,
            num_experts=4,
            num_experts_per_tok=2,
            experts_implementation="eager",
        )
    ),
}
ALL = tuple(_BUILDERS)
PACKABLE = tuple(name for name in ALL if name != "qwen3-next")


def tiny(name: str, dtype: torch.dtype = torch.float32, vocabulary: int = VOCABULARY) -> PreTrainedModel:
    """The named architecture with the same random weights every time, frozen as a base model is."""
    torch.manual_seed(0)
    model = _BUILDERS[name](**_COMMON, vocab_size=vocabulary).to(dtype).eval()
    return model.requires_grad_(False)


def random_rows(lengths: list[int], shared: int = 0, seed: int = 1) -> list[list[int]]:
    """Token rows of these lengths behind `shared` common first tokens."""
    generator = torch.Generator().manual_seed(seed)

    def draw(count: int) -> list[int]:
        return torch.randint(3, VOCABULARY, (count,), generator=generator).tolist()

    common = draw(shared)
    return [common + draw(length) for length in lengths]
