"""Packed rows and a shared prefix equal the model's own plain forward pass, in values and gradients."""

import pytest
import torch
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from bakery.engine.attention.packing import pack
from bakery.engine.distill.forward import plain_logits, prefix_key_values, target_states
from bakery.engine.distill.shortcut_trial import try_shortcuts
from bakery.engine.model.lm_head import read_head
from tests.engine.architectures import ALL, PACKABLE, random_rows, tiny


def _tolerance(name: str, tolerance: float) -> float:
    return max(tolerance, 1e-4) if name == "gemma2" else tolerance  # its own softmax is float32 in any precision


@pytest.mark.parametrize("name", ALL)
def test_every_shortcut_kept_equals_the_plain_pass_and_refusals_are_named(name):
    model = tiny(name, torch.float64)
    rows = random_rows([20, 33, 17, 1], shared=30)
    shortcuts = try_shortcuts(model, rows, 30)
    assert shortcuts.packed == shortcuts.prefix == (name in PACKABLE), shortcuts.notes
    assert bool(shortcuts.notes) == (name not in PACKABLE)
    truth = torch.cat([plain_logits(model, row) for row in rows])
    batch = pack(rows)
    with torch.no_grad():
        states = target_states(model, batch, torch.arange(sum(batch.lengths)), shortcuts)
    torch.testing.assert_close(
        shortcuts.head.logits(states), truth, rtol=_tolerance(name, 1e-9), atol=_tolerance(name, 1e-9)
    )


@pytest.mark.parametrize("name", PACKABLE)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_rows_behind_a_shared_prefix_equal_full_sequences(name, dtype, tolerance):
    model = tiny(name, dtype)
    rows = random_rows([20, 33, 17, 1, 20], shared=41)
    shortcuts = try_shortcuts(model, rows, 41)
    prefix = prefix_key_values(model, rows[0][:41])
    batch = pack([row[41:] for row in rows], first_position=41)
    with torch.no_grad():
        states = target_states(model, batch, torch.arange(sum(batch.lengths)), shortcuts, prefix=prefix)
    wanted = torch.cat([plain_logits(model, row)[41:] for row in rows])
    difference = shortcuts.head.logits(states).softmax(-1) - wanted.softmax(-1)
    assert difference.abs().max() < _tolerance(name, tolerance)


def _flash_without_its_kernel(module, query, key, value, attention_mask, *, scaling, **_):
    """What flash attention promises transformers, by torch's own: [B, h, T, d] -> [B, T, h, d], causal, no mask."""
    assert attention_mask is None
    shared = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(shared, 1), value.repeat_interleave(shared, 1)
    found = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling)
    return found.transpose(1, 2), None


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, about what transformers does for flex attention
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("implementation", ["eager", "sdpa", "flex_attention", "flash_attention_2"])
def test_the_models_own_attention_is_put_aside_and_back(implementation, monkeypatch):
    model = tiny("qwen3", torch.float32)
    if implementation == "flash_attention_2":  # transformers would refuse it where there is no such GPU
        monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS, implementation, _flash_without_its_kernel)
        model.config._attn_implementation = implementation
    else:
        model.set_attn_implementation(implementation)
    rows = random_rows([20, 33], shared=30)
    with torch.compiler.set_stance("force_eager"):  # compiling flex attention takes twenty seconds
        shortcuts = try_shortcuts(model, rows, 30)
    assert shortcuts.packed
    assert shortcuts.prefix
    assert model.config._attn_implementation == implementation


@pytest.mark.parametrize("name", PACKABLE)
@pytest.mark.parametrize("checkpointed", [False, True])
def test_packed_gradients_equal_those_of_single_rows(name, checkpointed):
    from bakery.engine.attention.packed import packed

    model = tiny(name, torch.float64).requires_grad_(True)
    rows = random_rows([9, 14, 3])
    head = read_head(tiny(name, torch.float64))
    assert head is not None
    weights = torch.randn(sum(map(len, rows)), 32, dtype=torch.float64)

    model.zero_grad()
    plain = [model(torch.tensor([row]), output_hidden_states=True).hidden_states[-1][0] for row in rows]
    (torch.cat(plain) * weights).sum().backward()
    wanted = {key: p.grad.clone() for key, p in model.named_parameters() if p.grad is not None}

    model.zero_grad()
    if checkpointed:
        enable = getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)
        enable({"use_reentrant": False})
        model.train()
    shortcuts = try_shortcuts(tiny(name, torch.float64), rows, 0)
    batch = pack(rows)
    with packed(model):
        (target_states(model, batch, torch.arange(len(weights)), shortcuts) * weights).sum().backward()
    for key, p in model.named_parameters():
        if p.grad is not None and p.grad.abs().max() > 0:
            # Gemma normalises in float32 whatever the model's precision.
            tolerance = {"gemma3": 1e-5, "gemma2": 1e-4}.get(name, 1e-8)
            torch.testing.assert_close(p.grad, wanted[key], rtol=tolerance, atol=tolerance)
