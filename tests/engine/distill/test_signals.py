"""Signals are cut, put together and moved without a number changing."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from bakery.engine.distill.signals import Moments, States


def _moments(count: int) -> Moments:
    return Moments(torch.randn(count, 3), torch.rand(count), torch.arange(count))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_the_parts_of_a_signal_put_together_are_the_signal(sizes):
    signal = _moments(sum(sizes))
    parts = signal.split(sizes)
    assert [len(part) for part in parts] == sizes
    again = Moments.concatenate(parts)
    assert all(torch.equal(again.columns[name], column) for name, column in signal.columns.items())


def test_a_part_shares_memory_until_it_is_cloned():
    signal = _moments(6)
    part = signal[2:4]
    copy = part.clone()
    signal.mean.zero_()
    assert part.mean.abs().sum() == 0
    assert copy.mean.abs().sum() > 0


def test_a_signal_is_moved_whole():
    moved = _moments(2).to("meta")
    assert {column.device.type for column in moved.columns.values()} == {"meta"}
    assert len(States(torch.zeros(4, 2))) == 4
