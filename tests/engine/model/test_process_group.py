"""Processes share work without loss and without overlap; one process alone does all of it."""

import pytest

from bakery.engine.model.process_group import SINGLE_PROCESS, ProcessGroup


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_shares_cover_every_piece_once_and_differ_by_at_most_one(size):
    pieces = list("abcdefghijk")
    shares = [ProcessGroup(rank, size).share(pieces) for rank in range(size)]
    assert sorted(piece for share in shares for piece in share) == pieces
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_alone_a_process_does_everything_and_waits_for_nobody():
    assert SINGLE_PROCESS.share("abc") == "abc"
    assert SINGLE_PROCESS.gather(["a", "b"]) == ["a", "b"]
    SINGLE_PROCESS.wait()
    SINGLE_PROCESS.leave()
