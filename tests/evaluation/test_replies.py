"""What is known of replies: enough of one is that one, a cut one is where it goes on, and no other model's counts."""

import pytest

from bakery.chat.views import PromptPair
from bakery.engine.distill.conditions import BAKED, BASE, PROMPTED
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
