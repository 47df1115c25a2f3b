"""Kinds of tokens are those of the masks, for rows with and without answers."""

from bakery.chat.token_kinds import inspect_views
from bakery.rows.conversations import Conversation
from tests.chat.test_inspection import ROW, builder
from tests.templates.support import assistant, user


def test_kinds_are_those_of_the_masks():
    build = builder()
    (pair,) = build.views(ROW)
    (shown,) = inspect_views(build, [ROW]).rows
    for tokens, ids, targets in (
        (shown.teacher, pair.teacher_ids, pair.teacher_targets),
        (shown.student, pair.student_ids, pair.student_targets),
    ):
        assert [token.id for token in tokens] == ids
        assert [i for i, token in enumerate(tokens) if token.kind in ("target", "end")] == targets
    kinds = {
        kind: "".join(token.text for token in shown.teacher if token.kind == kind)
        for kind in ("context", "target", "end")
    }
    assert kinds == {"context": "Be a pirate.Who are you?", "target": "Arr, me.", "end": "<|im_end|>"}


def test_only_so_many_rows_are_looked_at():
    assert len(inspect_views(builder(), iter([ROW] * 9), rows=3).rows) == 3


def test_a_row_of_many_turns_that_is_split_is_shown_in_its_parts():
    turns = Conversation((*ROW.messages, user("More?"), assistant("No.")), None, "row 1")
    assert len(inspect_views(builder("thinks", chat_template_kwargs={"enable_thinking": False}), [turns]).rows) == 2


def test_a_prompt_without_answer_is_shown_up_to_the_generation_prompt():
    (shown,) = inspect_views(builder(), [Conversation((user("Who?"),), None, "row 1")]).rows
    assert shown.unanswered
    assert "".join(token.text for token in shown.student).endswith("<|im_start|>assistant\n")
    assert not [token for token in shown.student if token.kind in ("target", "end")]


def test_words_of_an_answer_that_are_not_learned_are_words_and_no_header():
    (shown,) = inspect_views(builder(target_span_pattern="me"), [ROW]).rows
    kinds = {"".join(token.text for token in shown.student if token.kind == kind) for kind in ("context", "target")}
    assert kinds == {"Who are you?Arr,.", " me"}
