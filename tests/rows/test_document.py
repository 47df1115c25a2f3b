"""A document: what the teacher sees before a row about one of its chunks."""

from bakery.rows.document import Document, load_document, neighbouring_chunks, whole_chunks
from bakery.settings.config import DataConfig
from tests.rows.support import system

DOCUMENT = Document("a\n\nb\n\nc\n\nd", "<{corpus}>")
TEXTS = ["a", "b", "c", "d"]


def test_a_chunk_is_seen_with_the_one_before_and_the_one_after_it():
    chunks = neighbouring_chunks(DOCUMENT, TEXTS)
    assert [chunk.text for chunk in chunks] == TEXTS
    seen = [chunk.prefix[0]["content"] for chunk in chunks]
    assert seen == ["<a\n\nb>", "<a\n\nb\n\nc>", "<b\n\nc\n\nd>", "<c\n\nd>"]


def test_behind_every_chunk_the_whole_document_is_the_same():
    assert {chunk.prefix[0]["content"] for chunk in whole_chunks(DOCUMENT, TEXTS)} == {f"<{DOCUMENT.text}>"}


def test_the_template_is_kept_but_for_the_document_in_it(tmp_path):
    (tmp_path / "k.md").write_text("a {b}\n")
    path = str(tmp_path / "k.md")
    own = load_document(DataConfig(corpus_file=path, system_prompt_template='{"k": {corpus}, "{0}": {}}'))
    assert own.prefix_of(own.text) == (system('{"k": a {b}, "{0}": {}}'),)
    assert own.source == path
    default = load_document(DataConfig(corpus_file=path))
    assert "a {b}" in default.prefix_of(default.text)[0]["content"]
