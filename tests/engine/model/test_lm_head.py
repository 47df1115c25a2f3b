"""The LM head as a formula: its logits are the definition's, and its vector-Jacobian product is autograd's."""

import pytest
import torch

from bakery.engine.model.lm_head import IdentityHead, LMHead, at_least_float32

N, H, V = 3, 5, 11
SHAPES = [{}, {"bias": True}, {"scale": 0.25}, {"softcap": 3.0}, {"bias": True, "scale": 2.0, "softcap": 1.5}]


def make_head(bias=False, scale=1.0, softcap=None, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(V, H, generator=generator, dtype=torch.float64).to(dtype)
    offsets = torch.randn(V, generator=generator, dtype=torch.float64).to(dtype) if bias else None
    return LMHead(weight, offsets, scale, softcap)


def hidden_states(dtype=torch.float64):
    return torch.randn(N, H, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)


def by_definition(head, hidden):
    raw = head.scale * (hidden @ head.weight.T + (0.0 if head.bias is None else head.bias))
    return raw if head.softcap is None else head.softcap * torch.tanh(raw / head.softcap)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_logits_are_the_definitions_with_and_without_memory_given(shape):
    head, hidden = make_head(**shape), hidden_states()
    wanted = by_definition(head, hidden)
    torch.testing.assert_close(head.logits(hidden), wanted)
    torch.testing.assert_close(head.logits(hidden, torch.empty(N, V, dtype=torch.float64)), wanted)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_vector_jacobian_product_is_that_of_autograd(shape):
    head, hidden = make_head(**shape), hidden_states().requires_grad_()
    gradient = torch.randn(N, V, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    (wanted,) = torch.autograd.grad(by_definition(head, hidden), hidden, gradient)
    derivative = head.derivative(head.logits(hidden.detach()))
    torch.testing.assert_close(head.vjp(gradient, derivative), wanted)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_head_is_a_matrix_when_it_has_no_bias_and_no_soft_cap(shape):
    assert make_head(**shape).is_matrix == ("bias" not in shape and "softcap" not in shape)


def test_logits_of_half_precision_are_float32_and_those_of_float64_stay():
    head = make_head(dtype=torch.bfloat16)
    assert head.logits(hidden_states(torch.bfloat16)).dtype == torch.float32
    assert at_least_float32(torch.zeros(1, dtype=torch.float16)).dtype == torch.float32
    assert make_head().logits(hidden_states()).dtype == torch.float64


def test_the_identity_head_takes_logits_for_states():
    head, logits = IdentityHead(V), torch.randn(N, V, generator=torch.Generator().manual_seed(3))
    assert head.logits(logits) is logits
    torch.testing.assert_close(head.vjp(logits, head.derivative(logits)), logits)
