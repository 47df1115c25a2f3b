"""One answer while it grows: where its thoughts end, what is put in, and how far a draft of that holds."""

import pytest

from bakery.chat.thinking import ThinkingTokens
from bakery.engine.distill.samplers.growing import GrowingAnswer
from bakery.engine.distill.samplers.sampler import SampledToken, SamplingPrompt, SamplingSettings, ThinkingBound

TAGS = ThinkingTokens(openings=((10,),), endings=((20,),), closing=(19, 20, 21))
SETTINGS = SamplingSettings(frozenset({2, 21}), max_new_tokens=2, thinking=ThinkingBound(3, TAGS))


def _answer(settings=SETTINGS) -> GrowingAnswer:
    return GrowingAnswer.of(SamplingPrompt([1]), 0, 0, settings)


def _grown(drawn, settings=SETTINGS) -> GrowingAnswer:
    """The answer for which these tokens are drawn, one behind the other."""
    answer, tokens = _answer(settings), iter(drawn)
    answer.grow([next(tokens)])
    while not answer.ended and (answer.read + 1 < len(answer.ids) or (token := next(tokens, None)) is not None):
        answer.step(0 if answer.read + 1 < len(answer.ids) else token)
    return answer


@pytest.mark.parametrize(
    ("drawn", "ids", "forced"),
    [
        ([10, 5, 6, 7, 8, 9], [10, 5, 6, 7, 19, 20, 21, 8, 9], range(4, 7)),  # to the bound
        ([10, 5, 20, 8, 9], [10, 5, 20, 8, 9], range(0)),  # ended by itself
        ([10, 5, 6, 20, 8, 9], [10, 5, 6, 20, 8, 9], range(0)),  # just in time
        ([5, 6], [5, 6], range(0)),  # no thoughts
        ([10, 5, 2], [10, 5, 2], range(0)),  # stopped in its thoughts
        ([10, 5, 6, 2], [10, 5, 6, 2], range(0)),  # as its bound comes
        ([10, 5, 20, 2], [10, 5, 20, 2], range(0)),
    ],
)
def test_an_answer_has_its_own_length_behind_thoughts_that_are_bounded(drawn, ids, forced):
    answer = _grown(drawn)
    assert (answer.ids, answer.forced, answer.ended) == (ids, forced, True)
    assert answer.trajectory(None).stopped == (ids[-1] == 2)
    assert len(ids) <= SETTINGS.longest == 9


def test_without_a_bound_everything_counts():
    assert _grown([10, 5, 6], SamplingSettings(frozenset({2}), 3)).ids == [10, 5, 6]


def test_what_is_put_in_is_streamed_and_read_before_the_next_token_is_taken():
    answer = _answer()
    answer.grow([10])
    answer.step(5), answer.step(6)
    tokens, taken = answer.step(7)
    assert tokens == [SampledToken(0, 0, token, last=False) for token in (7, 19, 20, 21)]
    assert taken == [0]
    read = []
    for drawn in (99, 99, 99, 8):
        read.append(answer.newest)
        tokens, taken = answer.step(drawn)
        assert bool(taken) == (drawn == 8)
    assert read == [7, 19, 20, 21]
    assert answer.step(9)[0] == [SampledToken(0, 0, 9, last=True)]


@pytest.mark.parametrize(
    ("draft", "read", "taken"),
    [
        ((10, 5, 6, 7, 19, 20, 21, 8), 8, [0, 1, 2, 3, 7, 8]),  # all of it holds
        ((10, 5, 6, 7, 19, 99), 5, [0, 1, 2, 3]),  # not what is put in
        ((10, 5, 99), 2, [0, 1, 2]),
        ((), 0, [0]),
    ],
)
def test_a_draft_holds_as_far_as_it_is_what_is_drawn_and_put_in(draft, read, taken):
    drawn = [10, 5, 6, 7, 0, 0, 0, 8, 9][: len(draft) + 1]
    answer = _answer()
    assert answer.grow(drawn, draft)[1] == taken
    assert answer.read == read
    assert answer.ids == [10, 5, 6, 7, 19, 20, 21, 8, 9][: {8: 9, 5: 7, 2: 3, 0: 1}[read]]
