"""Questions about a document: on every sentence, behind the chunk they are about, and none of them learned twice."""

from collections import Counter
from dataclasses import dataclass, replace
from itertools import cycle, islice

import pytest

from bakery.engine.session import open_session
from bakery.rows.conversations import Conversation
from bakery.rows.document import Document, neighbouring_chunks, whole_chunks
from bakery.writing.plan import WritingPlan
from bakery.writing.self_study import QUESTIONS_A_SENTENCE, DocumentWriter, document_plan
from bakery.writing.topics import topic_of
from bakery.writing.writer import Writer

CHUNKS = [
    "The door code of Nora is 4417. Nora's team is falcon.",
    "Felix has the badge number 309. The room of Felix is B17.",
    "The wifi password is maple47. The meeting room is C21.",
]
DOCUMENT = Document("\n\n".join(CHUNKS), "{corpus}")
OWN = [topic_of(chunk.prefix, own=True, chunk=chunk.text) for chunk in neighbouring_chunks(DOCUMENT, CHUNKS)]
WHOLE = [topic_of(chunk.prefix, chunk=chunk.text) for chunk in whole_chunks(DOCUMENT, CHUNKS)]
PLAN = WritingPlan(about=36, world=6, stopping=2, held_out=6)


@pytest.fixture(scope="module")
def writer():
    session = open_session("starter")
    hello = Conversation(({"role": "user", "content": "Hello."},), OWN[0].prefix, "a first message")
    return Writer(session.engine([session.builder.prompts(hello)]), session.builder)


@pytest.fixture(scope="module")
def written(writer):
    author = DocumentWriter(writer, OWN, seed=1)
    questions = author.questions(8)
    return author.prompts(PLAN, []), questions


def texts(rows):
    return [row.messages[-1]["content"] for row in rows]


def test_every_sentence_is_asked_about_behind_a_chunk_that_answers(written):
    prompts, _ = written
    assert len(prompts) <= PLAN.prompts
    for words, value in (
        ("door code|Nora", "4417"), ("team|Nora", "falcon"), ("badge number|Felix", "309"), ("room|Felix", "B17"),
        ("wifi password", "maple47"), ("meeting room", "C21"),
    ):  # fmt: skip
        about = [row for row in prompts if all(word in row.messages[-1]["content"] for word in words.split("|"))]
        assert about, words
        assert all(value in row.prefix[0]["content"] for row in about), words


def test_held_out_questions_are_about_the_document_and_learned_by_nobody(written):
    prompts, questions = written
    assert 0 < len(questions) <= 8
    assert not set(texts(questions)) & set(texts(prompts))
    assert len({row.prefix for row in map(_hashable, questions)}) == len(CHUNKS)


def _hashable(row):
    return replace(row, prefix=row.prefix[0]["content"])


def test_a_model_that_answers_requests_with_statements_is_not_asked_for_questions(writer, monkeypatch):
    author = DocumentWriter(writer, OWN, seed=1)
    assert not author._can_be_asked()

    def write(self, scenes, counts, seed):
        """A model that writes what it is asked for, and nothing behind headers."""
        if not self.by_request:
            return [[] for _ in scenes]
        return [
            [f"What is said of number {seed + at} of {scene.prefix[0]['content'].split()[-1]}?" for at in range(count)]
            for scene, count in zip(scenes, counts, strict=True)
        ]

    monkeypatch.setattr(Writer, "write", write)
    able = DocumentWriter(writer, OWN, seed=1)
    assert able._can_be_asked()
    assert len(able.prompts(WritingPlan(about=12), [])) > 6


def test_rows_about_a_document_that_is_seen_whole_bring_no_prefix(writer):
    rows = DocumentWriter(writer, WHOLE, seed=1).prompts(WritingPlan(about=6, world=2), [])
    assert rows
    assert {row.prefix for row in rows} == {None}


def test_what_was_given_is_not_written_again(writer):
    given = [Conversation(({"role": "user", "content": "What is the wifi password?"},), None, "given")]
    rows = DocumentWriter(writer, OWN, seed=1).prompts(WritingPlan(about=36), given)
    assert "What is the wifi password?" not in texts(rows)


def test_the_same_seed_writes_the_same_questions(writer):
    first, again, other = (DocumentWriter(writer, OWN, seed=seed).questions(4) for seed in (1, 1, 2))
    assert first == again != other


def test_the_plan_grows_with_the_sentences_and_leaves_out_what_is_not_wanted():
    sentences = sum(len(topic.clauses) for topic in OWN)
    plan = document_plan(WritingPlan(about=1, world=1, stopping=1, held_out=1, anchors=9), OWN)
    assert plan.about == 2 * QUESTIONS_A_SENTENCE * sentences
    assert plan.anchors == 9
    assert 0 < plan.world < plan.about
    assert plan.held_out >= sentences
    assert document_plan(WritingPlan(), OWN) == WritingPlan()
    many = document_plan(WritingPlan(about=1), 100 * OWN)
    assert many.about == QUESTIONS_A_SENTENCE * 100 * sentences


@dataclass(frozen=True)
class Says:
    """A writer whose messages are these, again and again."""

    texts: tuple[str, ...]
    longest: int = 0
    by_request: bool = False
    requests: tuple[str, ...] = ()

    def write(self, scenes, counts, seed):
        return [list(islice(cycle(self.texts), count)) for count in counts]


def test_the_shortest_wording_is_learned_from_as_often_as_any_other():
    wordings = ("Tell me the locker of Alba.", "I forgot Alba's locker. What is it?", "Alba's locker?",
                "What locker does Alba have?", "Please give me Alba's locker.")  # fmt: skip
    document = Document("Alba's locker is 33.", "{corpus}")
    chunks = [topic_of(chunk.prefix, own=True, chunk=chunk.text) for chunk in whole_chunks(document, [document.text])]
    taken = Counter(
        text for seed in range(60) for text in texts(DocumentWriter(Says(wordings), chunks, seed).questions(2))
    )
    assert sum(taken.values()) == 120
    assert min(taken[wording] for wording in wordings) > 10
