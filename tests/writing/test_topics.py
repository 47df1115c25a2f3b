"""What is written about: the contexts of the rows, each once, with all of its words."""

from bakery.rows.tools import with_tools
from bakery.writing.selection import words
from bakery.writing.topics import topics_of
from tests.templates.tool_shapes import TIDE
from tests.writing.support import FACTS, asked, bake_data

OTHER = ({"role": "system", "content": "Be kind. Be brief."},)


def test_the_common_context_is_one_topic_with_every_sentence_as_a_clause():
    (topic,) = topics_of(bake_data([asked("Why?")]))
    assert topic.prefix == FACTS
    assert len(topic.clauses) == 3
    assert words(" ".join(topic.clauses)) == words(FACTS[0]["content"]) == words(topic.text)
    assert not topic.own


def test_what_the_tools_of_a_context_are_for_is_a_clause_each():
    named = {"name": "see_fog"}
    (topic,) = topics_of(bake_data([asked("Why?")], prefix=tuple(with_tools(OTHER, [TIDE, named]))))
    assert topic.clauses == ("Be kind.", "Be brief.", "Tells the tide of a harbour.", "see_fog")
    assert words(" ".join(topic.clauses)) == words(topic.text)
    (alone,) = topics_of(bake_data([asked("Why?")], prefix=tuple(with_tools([], [TIDE]))))
    assert alone.clauses == ("Tells the tide of a harbour.",)


def test_contexts_of_rows_are_topics_of_their_own_each_once():
    rows = [asked(text, prefix=prefix) for text, prefix in (("a", FACTS), ("b", OTHER), ("c", FACTS), ("d", None))]
    topics = topics_of(bake_data(rows, prefix=None))
    assert [topic.prefix for topic in topics] == [FACTS, OTHER]
    assert all(topic.own for topic in topics)


def test_without_a_context_there_is_nothing_to_write_about():
    assert topics_of(bake_data([asked("a"), asked("b", prefix=())], prefix=None)) == []
