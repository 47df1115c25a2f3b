"""The prefix: the same from messages, a file of them, an older prompt, or all of a document."""

import json

import pytest

from bakery.errors import ConfigError
from bakery.rows.document import Document
from bakery.rows.prefix import load_prefix, load_prefix_messages
from bakery.rows.tools import split_tools
from bakery.settings.config import ContextConfig
from bakery.settings.documents import parse_yaml
from bakery.settings.saving import dump_yaml
from tests.rows.support import system, user


@pytest.mark.parametrize("name", ["prefix.yaml", "prefix.yml", "prefix.json"])
@pytest.mark.parametrize("held", [[system("p")], {"prefix_messages": [system("p")]}, {"messages": [system("p")]}])
def test_prefix_files(name, held, tmp_path):
    (tmp_path / name).write_text(json.dumps(held))
    assert load_prefix_messages(str(tmp_path / name)) == [system("p")]
    assert load_prefix(ContextConfig(prefix_messages_file=str(tmp_path / name))) == (system("p"),)


WIND = {"type": "function", "function": {"name": "wind"}}


@pytest.mark.parametrize("name", ["prefix.yaml", "prefix.json"])
@pytest.mark.parametrize("key", ["prefix_messages", "messages"])
def test_prefix_files_may_hold_tools(name, key, tmp_path):
    for messages in ([system("p"), user("a")], []):
        (tmp_path / name).write_text(json.dumps({key: messages, "tools": [WIND]}))
        assert split_tools(load_prefix_messages(str(tmp_path / name))) == (messages, (WIND,))


def test_a_message_of_the_settings_may_hold_tools():
    prefix = [{**system("p"), "tools": [WIND]}]
    written = dump_yaml({"prefix_messages": prefix})
    context = ContextConfig(**parse_yaml(written, "bakery.yaml").value)
    assert load_prefix(context) == tuple(prefix)


def test_malformed_tools_of_a_prefix_file_are_refused(tmp_path):
    (tmp_path / "p.json").write_text(json.dumps({"messages": [system("p")], "tools": [{"type": "function"}]}))
    with pytest.raises(ConfigError, match=r"p\.json: tools: tool 1 has a function without a name .*; write name"):
        load_prefix_messages(str(tmp_path / "p.json"))
    (tmp_path / "p.json").write_text(json.dumps({"messages": [], "tools": []}))
    with pytest.raises(ConfigError, match="nothing to bake"):
        load_prefix_messages(str(tmp_path / "p.json"))


def test_a_prompt_file_and_inline_messages_give_the_prefix(tmp_path):
    (tmp_path / "prompt.txt").write_text("\ufeffBe {kind}.\n\n", "utf-8")
    with pytest.warns(DeprecationWarning, match="system_prompt"):
        context = ContextConfig(system_prompt_file=str(tmp_path / "prompt.txt"))
    assert load_prefix(context) == (system("Be {kind}."),)
    assert load_prefix(ContextConfig(prefix_messages=[user("a")])) == (user("a"),)
    assert load_prefix(ContextConfig()) is None


def test_a_document_gives_the_prefix_in_its_template():
    document = Document("all of it", 'Know "{corpus}", {kind}.')
    assert load_prefix(ContextConfig(), document) == (system('Know "all of it", {kind}.'),)


def test_a_prefix_that_the_student_would_retain_whole_is_refused(tmp_path):
    (tmp_path / "p.yaml").write_text("[{role: user, content: a}]")
    with pytest.raises(ConfigError, match="covers all 1 message"):
        load_prefix(ContextConfig(prefix_messages_file=str(tmp_path / "p.yaml"), student_retained_turns=1))
