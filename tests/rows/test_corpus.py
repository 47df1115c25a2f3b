"""Knowledge files: one text of any kind, whose natural parts are paragraphs."""

import json

import pytest

from bakery.errors import DataError
from bakery.rows.corpus import load_corpus

PAPERS = [{"title": "A {x}", "abstract": "B", "year": 1}, {"title": "C", "abstract": "D"}]


@pytest.mark.parametrize(
    ("kind", "name", "held", "text"),
    [
        ("papers", "k.json", json.dumps(PAPERS), "A {x}\nB\n\nC\nD"),
        ("list", "k.json", '["a", "b"]', "a\n\nb"),
        ("text", "k.json", '{"text": "a"}', "a"),
        ("text", "k.json", '"a"', "a"),
        ("text", "k.txt", "a\n\nb\n", "a\n\nb"),
        ("text", "k.md", "# a\n{b}\n", "# a\n{b}"),
        ("custom", "k.json", '{"a": ["é"]}', '{\n  "a": [\n    "é"\n  ]\n}'),
    ],
)
def test_knowledge_files_are_read_by_their_kind_and_by_what_they_look_like(kind, name, held, text, tmp_path):
    path = tmp_path / name
    path.write_text(held, "utf-8")
    assert load_corpus(str(path), kind) == text
    assert load_corpus(str(path)) == text


@pytest.mark.parametrize(
    ("kind", "content", "says"),
    [
        ("papers", '[{"title": "a"}]', "k.json row 1: abstract: must be a text, got null"),
        ("papers", "[3]", "k.json row 1: title: must be a text, got null"),
        ("list", '["a", ""]', "k.json row 2: must be a text, got the text ''"),
        ("list", '{"a": 1}', "must be a list of texts, got a mapping"),
        ("text", '{"a": 1}', "must hold a text, or an object with the key text"),
    ],
)
def test_a_knowledge_file_of_another_kind_is_refused(kind, content, says, tmp_path):
    (tmp_path / "k.json").write_text(content)
    with pytest.raises(DataError) as refused:
        load_corpus(str(tmp_path / "k.json"), kind)
    assert says in str(refused.value)


def test_every_paper_and_every_item_of_a_list_is_a_paragraph(tmp_path):
    (tmp_path / "k.json").write_text(json.dumps(PAPERS))
    assert load_corpus(str(tmp_path / "k.json")).split("\n\n") == ["A {x}\nB", "C\nD"]


@pytest.mark.parametrize(("name", "content"), [("k.md", ""), ("k.md", " \n\n"), ("k.md", "---\n***"), ("k.json", "[]")])
def test_a_document_without_words_is_refused(name, content, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match="nothing to bake; write the document"):
        load_corpus(str(tmp_path / name))
