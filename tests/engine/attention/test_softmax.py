"""Rows that attend to themselves: values and gradients are those of attention as it is written in books."""

import pytest
import torch

from bakery.engine.attention.softmax import Rule, attend, attend_rows, merge


def _definition(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, rule: Rule) -> torch.Tensor:
    shared = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(shared, 1), value.repeat_interleave(shared, 1)
    scores = rule.scale * query @ key.transpose(-1, -2)
    if rule.softcap is not None:
        scores = rule.softcap * torch.tanh(scores / rule.softcap)
    place = torch.arange(query.shape[2])
    back = place[:, None] - place[None]
    hidden = (back < 0) | (back >= (rule.window or len(place)))
    return scores.masked_fill(hidden, float("-inf")).softmax(-1) @ value


def _case(length: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(length)
    shapes = ((2, 4, length, 6), (2, 2, length, 6), (2, 2, length, 5), (2, 4, length, 5))
    query, key, value, weights = (torch.randn(*s, generator=generator, dtype=torch.float64) for s in shapes)
    return (*(t.to(dtype).requires_grad_() for t in (query, key, value)), weights.to(dtype))


def _both(length: int, rule: Rule, dtype: torch.dtype = torch.float64) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Value and gradients, found and wanted."""
    query, key, value, weights = _case(length, dtype)
    results = []
    for found in (attend_rows(query, key, value, rule, 0.0), _definition(query, key, value, rule)):
        gradients = torch.autograd.grad((found * weights).sum(), (query, key, value))
        results.append([found.detach(), *gradients])
    return results[0], results[1]


@pytest.mark.parametrize("length", [1, 7, 256, 300])
@pytest.mark.parametrize("softcap", [None, 1.5])
@pytest.mark.parametrize("window", [None, 3, 260])
def test_values_and_gradients_are_the_definitions(length, softcap, window):
    for found, wanted in zip(*_both(length, Rule(0.4, softcap, window)), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_short_rows_in_their_own_precision(dtype, tolerance):
    exact = _both(20, Rule(0.4))[1]
    for found, wanted in zip(_both(20, Rule(0.4), dtype)[0], exact, strict=True):
        assert found.dtype == dtype
        assert (found - wanted).norm() < tolerance * wanted.norm()


def test_dropout_drops():
    query, key, value, _ = _case(20)
    rule = Rule(0.4)
    assert not torch.equal(attend_rows(query, key, value, rule, 0.5), attend_rows(query, key, value, rule, 0.0))


@pytest.mark.parametrize("keys", [40, 1300])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5), (torch.bfloat16, 1e-2)]
)
def test_attention_with_its_log_sum_exp_in_any_precision(dtype, tolerance, causal, keys):
    generator = torch.Generator().manual_seed(keys)
    queries = keys if causal else 150
    shapes = ((2, 4, queries, 16), (2, 2, keys, 16), (2, 2, keys, 16))
    query, key, value = (torch.randn(*s, generator=generator, dtype=torch.float64).to(dtype) for s in shapes)
    rule = Rule(0.5)
    found, lse = attend(query, key, value, rule, causal=causal)
    query, key, value = (t.double() for t in (query, key.repeat_interleave(2, 1), value.repeat_interleave(2, 1)))
    scores = rule.scale * query @ key.transpose(-1, -2)
    if causal:
        scores = scores.masked_fill(torch.ones(keys, keys, dtype=torch.bool).triu(1), float("-inf"))
    wanted = scores.softmax(-1) @ value
    assert (found - wanted).norm() < tolerance * wanted.norm()
    assert (lse - scores.logsumexp(-1)).abs().max() < max(tolerance, 1e-6)


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
