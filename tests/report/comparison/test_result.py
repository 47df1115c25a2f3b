"""Which questions a comparison is made on: all of them, and besides those that no adapter was trained on."""

import pytest

from tests.comparison_support import FIRST, SECOND, drifted, made_result, names, right

GOOD, BAD = [True] * 40, [False] * 40


def test_nothing_is_left_out_by_default_and_what_was_trained_on_is_left_out_beside():
    trained = frozenset(names(20))
    result = made_result(
        GOOD, BAD, figures=[right(GOOD, BAD), drifted(0.1, 0.2)], adapters=[{}, {"trained_on": trained}]
    )
    assert len(result.figure("right").prompts) == len(result.asked) == 40
    assert (result.leaked, result.unseen) == (trained, 20)
    (figure,) = result.unseen_figures
    assert figure.prompts == names(40)[20:]
    assert figure.difference(SECOND, FIRST).n == 20


def test_a_question_counts_as_leaked_whoever_was_trained_on_it():
    first, second = frozenset(names(5)), frozenset(names(12)[5:])
    result = made_result(GOOD, BAD, adapters=[{"trained_on": first}, {"trained_on": second}])
    assert (result.leaked, result.unseen) == (first | second, 28)


@pytest.mark.parametrize(("trained", "given"), [(0, False), (24, True), (25, False), (40, False)])
def test_figures_of_their_own_need_sixteen_questions(trained, given):
    result = made_result(GOOD, BAD, adapters=[{}, {"trained_on": frozenset(names(trained))}])
    assert bool(result.unseen_figures) is given


def test_what_is_not_known_leaves_nothing_out():
    result = made_result(GOOD, BAD, adapters=[{}, {"trained_on": None}])
    assert (result.leaked, result.unseen_figures) == (frozenset(), ())


def test_questions_on_which_adapters_differ_come_first():
    result = made_result([True, True, False, True], [True, False, False, True])
    order = [answered.question.source for _, answered in result.questions()]
    assert order == [names(4)[1], names(4)[0], *names(4)[2:]]
    assert [result.differs(answered) for _, answered in result.questions()] == [True, False, False, False]
    assert result.figure("right", "eval") is result.figure("drift") is None
