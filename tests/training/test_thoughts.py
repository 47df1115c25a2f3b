"""Answers that are cut in their thoughts: when it is said, and which length would do."""

import re

from bakery.chat.thinking import ThinkingTokens
from bakery.engine.distill.samplers.sampler import Trajectory
from bakery.training.thoughts import Thoughts

TOKENS = ThinkingTokens(openings=((),), endings=((9,),), closing=(9,))
THOUGHTS = Thoughts(TOKENS, 100, {"enable_thinking": False})
CUT = Trajectory(0, 0, (1,) * 100, stopped=False)
STOPPED = Trajectory(0, 0, (1, 1, 2), stopped=True)


def _ended(after: int) -> Trajectory:
    return Trajectory(0, 0, (*(1,) * after, 9, 5, 2), stopped=True)


def test_an_answer_is_cut_in_its_thoughts_if_it_neither_ended_nor_got_out_of_them():
    assert THOUGHTS.cut(CUT)
    assert not any(map(THOUGHTS.cut, (STOPPED, _ended(3), Trajectory(0, 0, (1, 9, *(5,) * 98), stopped=False))))


def test_it_is_said_where_more_than_half_are_with_all_remedies():
    assert THOUGHTS.warning([CUT, _ended(20)]) is None
    warning = THOUGHTS.warning([CUT, CUT, _ended(20)])
    assert warning.startswith("2 of 3 answers were cut in their thoughts at trajectory_length 100: ")
    assert "thinking_length: 100" in warning
    assert 'chat_template_kwargs: {"enable_thinking": false}' in warning
    assert "chat_template_kwargs" not in Thoughts(TOKENS, 100, {}).warning([CUT])
    assert "try trajectory_length: 200 or more" in THOUGHTS.warning([CUT])


def test_with_the_length_it_names_about_nine_in_ten_would_get_out():
    """Thoughts that end at every token with the same probability, of which 100 tokens show a third."""
    chance = 1 - (2 / 3) ** 0.01
    shares = [(1 - chance) ** at * chance for at in range(100)]
    answers = [_ended(at) for at, share in enumerate(shares) for _ in range(round(3000 * share))]
    cut = [CUT] * round(3000 * (1 - sum(shares)))
    length = int(re.search(r"trajectory_length: (\d+) about", THOUGHTS.warning([*answers, *cut]))[1])
    assert 0 <= 0.1 - (1 - chance) ** (length - 100) < 0.03
