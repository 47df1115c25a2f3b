"""Each of our own templates has the check it was written for, and no other that warns."""

import pytest

from bakery.chat.contexts import ContextRules
from bakery.chat.template_checks import TemplateCheck, check_template, warnings_for
from tests.templates.support import OWN, REAL, make_tokenizer, system, user

HAS = {
    "plain": set(),
    "trims": {"trims"},
    "space_before_answer": {"trims"},
    "default_system": {"default system"},
    "dated": {"fixed system", "date"},
    "thinks": {"prompt"},
    "opens_thinking": {"prompt"},
    "rejects_system": {"no system role", "trims"},
    "loses_system": {"lost system"},
    "no_end": {"no end"},
    "end_between_turns": {"no end"},
    "always_prompts": set(),
    "loose_prompt": {"prompt"},
    "channels": {"prompt"},
    "tools": set(),
    "listens": set(),
    "shouts": set(),
    "repeats": {"prompt"},
}


def own(name):
    return make_tokenizer((OWN / "own" / f"{name}.jinja").read_text(encoding="utf-8"), "words")


def test_every_own_template_is_listed():
    assert HAS.keys() == {path.stem for path in (OWN / "own").glob("*.jinja")}


@pytest.mark.parametrize("name", sorted(HAS))
def test_quirks_are_found(name):
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


def test_that_given_answers_cannot_be_baked_is_told_with_the_way_out():
    (check,) = (check for check in check_template(own("thinks")) if check.name == "prompt")
    assert check.text.startswith("answers that are given cannot be baked: the template writes ")
    assert "; set chat_template_kwargs: {enable_thinking: false}, or give prompts without answers" in check.text
    assert "rewrites turns" in {check.name for check in check_template(own("thinks"), {"enable_thinking": False})}


def test_a_prompt_that_is_tokenised_otherwise_before_an_answer_is_found():
    template = (OWN / "own" / "trims.jinja").read_text(encoding="utf-8")
    texts = [
        check.text for check in check_template(make_tokenizer(template, "bytes-trimmed")) if check.name == "prompt"
    ]
    assert "the tokenizer cuts the generation prompt differently" in "".join(texts)
    assert "prompt" not in {check.name for check in check_template(make_tokenizer(template, "bytes"))}


def test_what_the_settings_settle_is_not_told():
    template_checks = [TemplateCheck(name, name[0], True) for name in ("default system", "lost system", "prompt")] + [
        TemplateCheck("trims", "t")
    ]
    prompted = [system("Be a pirate.")]
    assert warnings_for(template_checks, ContextRules(prompted)) == ["d", "l"]
    assert warnings_for(template_checks, ContextRules(prompted, empty_system=True)) == ["l"]
    assert warnings_for(template_checks, ContextRules(prompted, fold=True)) == []
    assert warnings_for(template_checks, ContextRules([user("One?")])) == ["d"]


@pytest.mark.skipif(not REAL.is_dir(), reason="no folder ../shared/chat_templates beside the repository")
def test_every_real_template_can_be_asked():
    for path in sorted(REAL.glob("*.jinja")):
        for check in check_template(make_tokenizer(path.read_text(encoding="utf-8"))):
            assert "\n" not in check.text, path.stem
            assert len(check.text) < 500, path.stem
