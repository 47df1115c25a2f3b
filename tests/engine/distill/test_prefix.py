"""What rows share is found by their ids, never more than they may share, and computed once."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bakery.engine.distill.forward import prefix_key_values
from bakery.engine.distill.prefix import PrefixCache, group_by_prefix
from tests.engine.architectures import random_rows, tiny

ids = st.lists(st.integers(0, 2), min_size=1, max_size=14)


@settings(deadline=None)
@given(data=st.data())
def test_groups_share_the_longest_common_start_within_every_limit(data):
    common = data.draw(st.lists(st.integers(0, 2), max_size=20))
    rows = [common + tail for tail in data.draw(st.lists(ids, min_size=1, max_size=6))]
    keys = [data.draw(st.sampled_from("ab")) for _ in rows]
    limits = [data.draw(st.integers(0, len(row) - 1)) for row in rows]
    groups = group_by_prefix(rows, keys, limits)
    assert sorted(row for group in groups for row in group.rows) == list(range(len(rows)))
    for group in groups:
        assert len({keys[row] for row in group.rows}) == 1
        members = [rows[row] for row in group.rows]
        assert all(tuple(row[: len(group.ids)]) == group.ids for row in members)
        assert len(group.ids) <= min(limits[row] for row in group.rows)
        most = min(limits[row] for row in group.rows)
        longer = next((n for n in range(most, 0, -1) if len({tuple(row[:n]) for row in members}) == 1), 0)
        assert len(group.ids) == (longer if longer >= 8 and len(members) > 1 else 0)


def test_a_single_row_has_nobody_to_share_with():
    (group,) = group_by_prefix([list(range(30))], ["a"], [29])
    assert group.ids == ()


@pytest.fixture
def counted(monkeypatch):
    """How often a prefix was computed, by its length."""
    made = []

    def count(model, ids, *_):
        made.append(len(ids))
        return prefix_key_values(model, ids)

    monkeypatch.setattr("bakery.engine.distill.prefix.prefix_key_values", count)
    return made


def test_a_prefix_is_computed_once_and_forgotten_only_for_room(counted):
    model = tiny("llama")
    rows = [tuple(row) for row in random_rows([20, 20, 20])]
    size = prefix_key_values(model, rows[0]).bytes
    roomy = PrefixCache(model, limit_bytes=3 * size)
    for row in [*rows, *rows]:
        roomy.get(row)
    assert counted == [20] * 3
    counted.clear()
    tight = PrefixCache(model, limit_bytes=2 * size)
    for row in (rows[0], rows[1], rows[0], rows[2], rows[0], rows[1]):  # 2 evicts 1, the least recently used
        tight.get(row)
    assert counted == [20] * 4
    assert tight.get(()) is None


def test_the_begin_of_a_kept_prefix_is_served_from_it(counted):
    model = tiny("llama", torch.float64)
    cache = PrefixCache(model)
    (row,) = random_rows([24])
    cache.get(tuple(row))
    found, wanted = cache.get(tuple(row[:9])), prefix_key_values(model, row[:9])
    assert counted == [24]
    for pair, truth in zip(found.layers.values(), wanted.layers.values(), strict=True):
        torch.testing.assert_close(pair, truth, rtol=1e-12, atol=1e-12)
    cache.shrink(0)
    cache.get(tuple(row[:9]))
    assert counted == [24, 9]


def test_a_prefix_larger_than_the_bound_is_served_and_then_forgotten(counted):
    model = tiny("llama")
    cache = PrefixCache(model, limit_bytes=1)
    one, other = (tuple(row) for row in random_rows([20, 24]))
    first = cache.get(one)
    assert first is not None
    assert first.length == 20
    assert first is cache.get(one)
    cache.get(other)
    again = cache.get(one)
    assert counted == [20, 24, 20]
    assert again is not None
    torch.testing.assert_close(again.layers[0][0], first.layers[0][0])
