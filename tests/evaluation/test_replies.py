"""What is known of replies: enough of one is that one, a cut one is where it goes on, and no other model's counts."""

import pytest

from bakery.chat.thinking import ThinkingTokens
from bakery.chat.views import PromptPair
from bakery.engine.distill.conditions import BAKED, BASE, PROMPTED
from bakery.engine.distill.samplers.sampler import ThinkingBound
from bakery.evaluation.replies import Ask, KnownReplies, Reply, Request

PROMPT = PromptPair([1, 2, 3], [3], prefix_key="ship")
REQUEST = Request(BASE, (3,), 0.0, 0)


def test_every_condition_is_asked_with_its_own_view_and_greedy_replies_depend_on_no_seed():
    assert Ask(PROMPTED, [PROMPT], 1.0, seed=5).requests() == [Request(PROMPTED, (1, 2, 3), 1.0, 5)]
    assert Ask(BASE, [PROMPT], 0.0, seed=5).requests() == [REQUEST]


@pytest.mark.parametrize(
    ("ids", "stopped", "longest", "known"),
    [
        ((7, 8, 9), True, 5, ((7, 8, 9), True)),
        ((7, 8, 9), True, 3, ((7, 8, 9), True)),
        ((7, 8, 9), True, 2, ((7, 8), False)),
        ((7, 8, 9), False, 3, ((7, 8, 9), False)),
        ((7, 8, 9), False, 5, None),
    ],
)
def test_a_reply_is_known_when_it_ended_or_is_long_enough(ids, stopped, longest, known):
    reply = KnownReplies({REQUEST: Reply("", ids, stopped)}).reply(REQUEST, longest)
    assert (reply and (reply.ids, reply.stopped)) == known


BOUND = ThinkingBound(2, ThinkingTokens(openings=((1,),), endings=((9,),), closing=(9, 6)))


@pytest.mark.parametrize(
    ("ids", "forced", "stopped", "longest", "known"),
    [
        ((1, 5, 9, 7, 8), range(0), False, 2, 5),
        ((1, 5, 9, 7, 8), range(0), True, 1, 4),
        ((1, 5, 9, 7, 8), range(0), False, 3, None),
        ((1, 5, 5, 9, 6, 7, 8), range(3, 5), False, 2, 7),
        ((1, 5, 5, 9, 6, 7, 8), range(3, 5), False, 1, 6),
        ((1, 5, 5, 9, 6, 7, 8), range(3, 5), False, 3, None),
        ((1, 5, 3), range(0), True, 1, 3),  # ended in its thoughts
        ((7, 8), range(0), False, 2, 2),  # no thoughts
    ],
)
def test_of_a_reply_with_bounded_thoughts_the_answer_behind_them_is_long_enough(ids, forced, stopped, longest, known):
    request = Request(BASE, (3,), 0.0, 0, BOUND)
    replies = KnownReplies({request: Reply("", ids, stopped, forced=forced)})
    reply = replies.reply(request, longest)
    assert (reply.ids if reply else None) == (ids[:known] if known else None)
    assert replies.reply(REQUEST, longest) is None, "without the bound it is another answer"


def test_the_answer_behind_the_thoughts_is_judged_and_all_where_there_are_only_thoughts():
    reply = Reply("hm. Paris", (1, 5, 9, 7), True, begin=3, answer="Paris")
    assert (reply.judged, reply.answer_ids) == ("Paris", (7,))
    assert (Reply("hm", (1, 5), False).judged, Reply("hm", (1, 5), False).answer_ids) == ("hm", (1, 5))


def test_a_draft_is_the_beginning_of_the_reply_or_else_one_that_is_alike():
    other = Request(PROMPTED, (1, 2, 3), 0.0, 0)
    replies = KnownReplies({other: Reply("", (4, 5), True)})
    assert replies.draft(REQUEST) == ()
    assert replies.draft(REQUEST, other) == (4, 5)
    replies.replies[REQUEST] = Reply("", (4, 6), False)
    assert replies.draft(REQUEST, other) == (4, 6)


def test_what_the_trained_adapter_said_is_no_longer_known_when_only_the_base_is_the_same():
    replies = {request: Reply("", (4,), True) for request in (REQUEST, Request(BAKED, (3,), 0.0, 0))}
    assert list(KnownReplies(replies).of(()).replies) == [REQUEST]


def test_random_numbers_are_named_by_the_seed_and_what_is_read():
    streams = {
        request.sampling_prompt("ship", ()).stream
        for request in (
            Request(PROMPTED, (1, 2), 1.0, 5), Request(PROMPTED, (1, 2), 1.0, 6), Request(PROMPTED, (1, 3), 1.0, 5),
            Request(BASE, (1, 2), 1.0, 5),
        )
    }  # fmt: skip
    assert len(streams) == 3
    assert Request(PROMPTED, (1, 2), 1.0, 5).sampling_prompt("ship", ()).prefix_key == "ship"
    assert Request(BASE, (1, 2), 1.0, 5).sampling_prompt("ship", ()).prefix_key == ""
