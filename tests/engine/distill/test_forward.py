"""Packed rows and a shared prefix equal the model's own plain forward pass, in values and gradients."""

import pytest
import torch
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from bakery.engine.attention.packing import pack
from bakery.engine.attention.softmax import Rule, attend, merge
from bakery.engine.distill import forward
from bakery.engine.distill.forward import find_paths, plain_logits, prefix_key_values, target_states
from bakery.engine.model.loading import read_head
from tests.engine.architectures import ALL, PACKABLE, random_rows, tiny


def _tolerance(name: str, tolerance: float) -> float:
    return max(tolerance, 1e-4) if name == "gemma2" else tolerance  # its own softmax is float32 in any precision


@pytest.mark.parametrize("name", ALL)
def test_every_shortcut_kept_equals_the_plain_pass_and_refusals_are_named(name):
    model = tiny(name, torch.float64)
    rows = random_rows([20, 33, 17, 1], shared=30)
    paths = find_paths(model, rows, 30)
    assert paths.packed == paths.prefix == (name in PACKABLE), paths.notes
    assert bool(paths.notes) == (name not in PACKABLE)
    truth = torch.cat([plain_logits(model, row) for row in rows])
    batch = pack(rows)
    with torch.no_grad():
        states = target_states(model, batch, torch.arange(sum(batch.lengths)), paths)
    torch.testing.assert_close(
        paths.head.logits(states), truth, rtol=_tolerance(name, 1e-9), atol=_tolerance(name, 1e-9)
    )


@pytest.mark.parametrize("name", PACKABLE)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_rows_behind_a_shared_prefix_equal_full_sequences(name, dtype, tolerance):
    model = tiny(name, dtype)
    rows = random_rows([20, 33, 17, 1, 20], shared=41)
    paths = find_paths(model, rows, 41)
    prefix = prefix_key_values(model, rows[0][:41])
    batch = pack([row[41:] for row in rows], first_position=41)
    with torch.no_grad():
        states = target_states(model, batch, torch.arange(sum(batch.lengths)), paths, prefix=prefix)
    wanted = torch.cat([plain_logits(model, row)[41:] for row in rows])
    difference = paths.head.logits(states).softmax(-1) - wanted.softmax(-1)
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
        paths = find_paths(model, rows, 30)
    assert paths.packed
    assert paths.prefix
    assert model.config._attn_implementation == implementation


@pytest.mark.parametrize(("name", "longest"), [("llama", 256 + 7), ("mistral-window", 300 + 7), ("gemma3", 300 + 7)])
def test_a_prefix_is_tried_as_far_as_its_length_can_matter(monkeypatch, name, longest):
    read = []
    monkeypatch.setattr(forward, "plain_logits", lambda m, ids, **k: read.append(len(ids)) or plain_logits(m, ids, **k))
    rows = random_rows([7, 7], shared=300)
    assert forward.find_paths(tiny(name, torch.float64), rows, 300).prefix
    assert max(read) == longest


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
    paths = find_paths(tiny(name, torch.float64), rows, 0)
    batch = pack(rows)
    with packed(model):
        (target_states(model, batch, torch.arange(len(weights)), paths) * weights).sum().backward()
    for key, p in model.named_parameters():
        if p.grad is not None and p.grad.abs().max() > 0:
            # Gemma normalises in float32 whatever the model's precision.
            tolerance = {"gemma3": 1e-5, "gemma2": 1e-4}.get(name, 1e-8)
            torch.testing.assert_close(p.grad, wanted[key], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("device_path", [True, False])
def test_two_halves_of_the_keys_merge_into_the_whole(device_path, monkeypatch):
    torch.manual_seed(0)
    query, key, value = torch.randn(2, 4, 7, 8), torch.randn(2, 2, 300, 8), torch.randn(2, 2, 300, 8)
    if not device_path:
        monkeypatch.setattr("torch.is_autocast_enabled", lambda *_: True)  # takes the path of other devices
    whole, lse = attend(query, key, value, Rule(0.3))
    parts = [attend(query, key[:, :, s], value[:, :, s], Rule(0.3)) for s in (slice(0, 120), slice(120, 300))]
    torch.testing.assert_close(merge(*parts[0], *parts[1]), whole, rtol=1e-5, atol=1e-6)
    wanted = torch.nn.functional.scaled_dot_product_attention(
        query, key.repeat_interleave(2, 1), value.repeat_interleave(2, 1), scale=0.3
    )
    torch.testing.assert_close(whole, wanted, rtol=1e-5, atol=1e-6)
    assert lse.shape == (2, 4, 7)


def test_an_adapted_head_is_served_by_the_models_own_logits():
    model = tiny("llama").requires_grad_(True)
    paths = find_paths(model, random_rows([5, 9]), 0)
    assert paths.states_are_logits
    assert "output head" in paths.notes[0]


@pytest.mark.parametrize("kind", ["longrope", "dynamic"])
def test_scaling_that_depends_on_the_rows_length_is_not_packed(kind):
    model = tiny("llama")
    model.config.rope_parameters = {**model.config.rope_parameters, "rope_type": kind}
    paths = find_paths(model, random_rows([5, 9], shared=12), 12)
    assert not paths.packed
    assert not paths.prefix
    assert kind in paths.notes[0]
