"""The prefix: the same from messages, a file of them, an older prompt, or a knowledge file."""

import json

import pytest

from bakery.errors import ConfigError, DataError
from bakery.rows.prefix import load_corpus, load_prefix, load_prefix_messages
from bakery.settings.config import ContextConfig, DataConfig
from tests.rows.support import system, user


@pytest.mark.parametrize("name", ["prefix.yaml", "prefix.yml", "prefix.json"])
@pytest.mark.parametrize("held", [[system("p")], {"prefix_messages": [system("p")]}, {"messages": [system("p")]}])
def test_prefix_files(name, held, tmp_path):
    (tmp_path / name).write_text(json.dumps(held))
    assert load_prefix_messages(str(tmp_path / name)) == [system("p")]
    assert load_prefix(ContextConfig(prefix_messages_file=str(tmp_path / name))) == (system("p"),)


def test_a_prompt_file_and_inline_messages_give_the_prefix(tmp_path):
    (tmp_path / "prompt.txt").write_text("\ufeffBe {kind}.\n\n", "utf-8")
    with pytest.warns(DeprecationWarning, match="system_prompt"):
        context = ContextConfig(system_prompt_file=str(tmp_path / "prompt.txt"))
    assert load_prefix(context) == (system("Be {kind}."),)
    assert load_prefix(ContextConfig(prefix_messages=[user("a")])) == (user("a"),)
    assert load_prefix(ContextConfig()) is None


PAPERS = [{"title": "A {x}", "abstract": "B", "year": 1}, {"title": "C", "abstract": "D"}]


@pytest.mark.parametrize(
    ("kind", "name", "held", "text"),
    [
        ("papers", "k.json", json.dumps(PAPERS), "A {x}\nB\n\nC\nD"),
        ("list", "k.json", '["a", "b"]', "a\n\nb"),
        ("text", "k.json", '{"text": "a"}', "a"),
        ("text", "k.json", '"a"', "a"),
        ("text", "k.md", "# a\n{b}\n", "# a\n{b}"),
        ("custom", "k.json", '{"a": ["é"]}', '{\n  "a": [\n    "é"\n  ]\n}'),
    ],
)
def test_knowledge_files(kind, name, held, text, tmp_path):
    path = tmp_path / name
    path.write_text(held, "utf-8")
    assert load_corpus(str(path), kind) == text
    data = DataConfig(corpus_file=str(path), corpus_format=kind, system_prompt_template='{"k": {corpus}, "{0}": {}}')
    assert load_prefix(ContextConfig(), data) == (system('{"k": ' + text + ', "{0}": {}}'),)
    (default,) = load_prefix(ContextConfig(), DataConfig(corpus_file=str(path), corpus_format=kind))
    assert text in default["content"]


@pytest.mark.parametrize(
    ("kind", "content", "says"),
    [
        ("papers", '[{"title": "a"}]', "k.json row 1: abstract: must be a text, got null"),
        ("papers", "[3]", "k.json row 1: title: must be a text, got null"),
        ("list", '["a", ""]', "k.json row 2: must be a text, got the text ''"),
        ("list", "{}", "must be a list of texts, got an empty mapping"),
        ("text", '{"a": 1}', "must hold a text, or an object with the key text"),
    ],
)
def test_a_knowledge_file_of_another_kind_is_refused(kind, content, says, tmp_path):
    (tmp_path / "k.json").write_text(content)
    with pytest.raises(DataError) as refused:
        load_corpus(str(tmp_path / "k.json"), kind)
    assert says in str(refused.value)


def test_a_prefix_that_the_student_would_retain_whole_is_refused(tmp_path):
    (tmp_path / "p.yaml").write_text("[{role: user, content: a}]")
    with pytest.raises(ConfigError, match="covers all 1 message"):
        load_prefix(ContextConfig(prefix_messages_file=str(tmp_path / "p.yaml"), student_retained_turns=1))
