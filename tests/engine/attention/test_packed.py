"""What a pass over packed rows is told: groups of rows, stored keys and values, and what it refuses."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bakery.engine.attention.packed import KeyValues, Layout, Prefill, RowCache, Unpackable, packed_attention

lengths = st.lists(st.integers(1, 40), min_size=1, max_size=12)
HEADS, WIDTH = 2, 4


def _key_values(tokens, layers=2):
    generator = torch.Generator().manual_seed(tokens)
    stored = KeyValues()
    for layer in range(layers):
        stored.store(layer, *torch.randn(2, HEADS, tokens, WIDTH, generator=generator))
    return stored


@settings(deadline=None)
@given(lengths=lengths)
def test_attention_groups_hold_every_position_once_and_little_else(lengths):
    layout = Layout(tuple(lengths))
    total = sum(lengths)
    flat = torch.cat([index.flatten() for index, _ in layout.groups])
    assert flat[layout.back].tolist() == list(range(total))
    assert flat.numel() <= 1.25 * total
    for index, width in layout.groups:
        assert index.shape[1] == width
        assert (index.diff(dim=1) >= 0).all()


def test_the_first_tokens_of_keys_and_values_are_a_view_of_them():
    stored = _key_values(9)
    first = stored.first(4)
    assert (first.length, stored.first(9)) == (4, stored)
    for layer, (keys, values) in stored.layers.items():
        assert first.layers[layer][0].data_ptr() == keys.data_ptr()
        assert torch.equal(first.layers[layer][1], values[:, :4])
    assert stored.bytes == 2 * 2 * HEADS * 9 * WIDTH * 4


def test_rows_that_grow_hold_their_prompts_and_then_their_own_tokens():
    prompts = _key_values(5 + 3)
    cache = RowCache([Prefill(prompts, (5, 3), (0, 1, 1))], capacity=7)
    assert cache.lengths.tolist() == [5, 3, 3]
    key, value = torch.randn(2, 3, HEADS, 1, WIDTH, generator=torch.Generator().manual_seed(0))
    keys, _ = cache.write(0, key, value)
    assert keys.shape == (3, HEADS, 6, WIDTH)
    assert torch.equal(keys[0, :, :5], prompts.layers[0][0][:, :5])
    assert torch.equal(keys[2, :, :3], prompts.layers[0][0][:, 5:])
    assert torch.equal(keys[[0, 1, 2], :, [5, 3, 3]], key[:, :, 0])
    cache.advance()
    cache.select([2])
    assert (cache.lengths.tolist(), cache.longest) == ([4], 4)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "does not pass keyword arguments on"),
        ({"layout": Layout((3,)), "s_aux": torch.zeros(1)}, "attention uses s_aux"),
        ({"layout": Layout((3,))}, "carry no index"),
    ],
)
def test_attention_that_does_more_is_refused_by_name(arguments, reason):
    query, key, value = torch.zeros(3, 1, HEADS, 3, WIDTH)
    with pytest.raises(Unpackable, match=reason):
        packed_attention(nn.Module(), query, key, value, None, **arguments)
