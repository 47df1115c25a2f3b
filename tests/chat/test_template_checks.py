"""Each of our own templates has the check it was written for, and no other that warns."""

import pytest

from bakery.chat.contexts import ContextRules
from bakery.chat.template_checks import TemplateCheck, check_template, warnings_for
from bakery.rows.tools import with_tools
from tests.templates.support import OWN, REAL, make_tokenizer, system, user
from tests.templates.tool_shapes import TIDE

HAS = {
    "plain": set(),
    "trims": {"trims"},
    "space_before_answer": {"trims"},
    "default_system": {"default system"},
    "dated": {"fixed system", "date"},
    "thinks": {"thinking off", "rewrites turns"},
    "opens_thinking": {"thinking off"},
    "rejects_system": {"no system role", "trims"},
    "loses_system": set(),
    "no_end": {"no end"},
    "end_between_turns": set(),
    "always_prompts": set(),
    "loose_prompt": {"rewrites turns", "trims"},
    "channels": {"writes before", "other end", "rewrites turns"},
    "tools": set(),
    "listens": set(),
    "shouts": set(),
    "repeats": set(),
}


def own(name):
    return make_tokenizer((OWN / "own" / f"{name}.jinja").read_text(encoding="utf-8"), "words")


def test_every_own_template_is_listed():
    assert HAS.keys() == {path.stem for path in (OWN / "own").glob("*.jinja")}


@pytest.mark.parametrize("name", sorted(HAS))
def test_what_a_template_is_written_for_is_found(name):
    found = {check.name for check in check_template(own(name))} - {"no thinking", "no tools"}
    assert found == HAS[name]


def test_what_is_not_written_is_found():
    names = {name: {check.name for check in check_template(own(name))} for name in ("plain", "thinks", "tools")}
    assert {"no thinking", "no tools"} <= names["plain"]
    assert "no thinking" not in names["thinks"]
    assert "no tools" not in names["tools"]


def test_the_default_system_text_is_named_and_told_before_what_needs_no_decision():
    check = check_template(own("default_system"))[0]
    assert check.warns
    assert "'You are a house elf.'" in check.text
    assert "student_system" in check.text


def test_how_answers_without_thinking_are_asked_for_is_told():
    (check,) = (check for check in check_template(own("thinks")) if check.name == "thinking off")
    assert check.text == "answers given without thinking are asked for with enable_thinking: false"
    assert "thinking off" not in {check.name for check in check_template(own("thinks"), {"enable_thinking": True})}


def test_a_template_that_leaves_out_system_messages_is_found():
    source = (
        (OWN / "own" / "plain.jinja")
        .read_text(encoding="utf-8")
        .replace("in messages", "in messages if m.role != 'system'")
    )
    assert "lost system" in {check.name for check in check_template(make_tokenizer(source))}


def test_what_the_settings_settle_is_not_told():
    template_checks = [TemplateCheck(name, name[0], True) for name in ("default system", "lost system", "prompt")] + [
        TemplateCheck("trims", "t")
    ]
    prompted = [system("Be a pirate.")]
    assert warnings_for(template_checks, ContextRules(prompted)) == ["d", "l"]
    assert warnings_for(template_checks, ContextRules(prompted, empty_system=True)) == ["l"]
    assert warnings_for(template_checks, ContextRules(prompted, fold=True)) == []
    assert warnings_for(template_checks, ContextRules([user("One?")])) == ["d"]
    assert warnings_for(template_checks, ContextRules(with_tools([], [TIDE]))) == ["d"]


@pytest.mark.skipif(not REAL.is_dir(), reason="no folder ../shared/chat_templates beside the repository")
def test_every_real_template_can_be_asked():
    for path in sorted(REAL.glob("*.jinja")):
        for check in check_template(make_tokenizer(path.read_text(encoding="utf-8"))):
            assert "\n" not in check.text, path.stem
            assert len(check.text) < 500, path.stem
