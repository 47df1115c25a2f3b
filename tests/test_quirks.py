"""Each of our own templates has the quirk it was written for, and no other that warns."""

import pytest

from bakery.chat.contexts import ContextRules
from bakery.chat.quirks import Quirk, find_quirks, warnings_for
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
    found = {quirk.name for quirk in find_quirks(own(name))} - {"no thinking", "no tools"}
    assert found == HAS[name]


def test_what_is_not_written_is_found():
    names = {name: {quirk.name for quirk in find_quirks(own(name))} for name in ("plain", "thinks", "tools")}
    assert {"no thinking", "no tools"} <= names["plain"]
    assert "no thinking" not in names["thinks"]
    assert "no tools" not in names["tools"]


def test_the_default_system_text_is_named_and_told_before_what_needs_no_decision():
    quirk = find_quirks(own("default_system"))[0]
    assert quirk.warns
    assert "'You are a house elf.'" in quirk.text
    assert "student_system" in quirk.text


def test_that_given_answers_cannot_be_baked_is_told_with_the_way_out():
    (quirk,) = (quirk for quirk in find_quirks(own("thinks")) if quirk.name == "prompt")
    assert quirk.text.startswith("answers that are given cannot be baked: the template writes ")
    assert "; set chat_template_kwargs: {enable_thinking: false}, or give prompts without answers" in quirk.text
    assert "rewrites turns" in {quirk.name for quirk in find_quirks(own("thinks"), {"enable_thinking": False})}


def test_a_prompt_that_is_tokenised_otherwise_before_an_answer_is_found():
    template = (OWN / "own" / "trims.jinja").read_text(encoding="utf-8")
    texts = [quirk.text for quirk in find_quirks(make_tokenizer(template, "bytes-trimmed")) if quirk.name == "prompt"]
    assert "the tokenizer cuts the generation prompt differently" in "".join(texts)
    assert "prompt" not in {quirk.name for quirk in find_quirks(make_tokenizer(template, "bytes"))}


def test_what_the_settings_settle_is_not_told():
    quirks = [Quirk(name, name[0], True) for name in ("default system", "lost system", "prompt")] + [
        Quirk("trims", "t")
    ]
    prompted = [system("Be a pirate.")]
    assert warnings_for(quirks, ContextRules(prompted)) == ["d", "l"]
    assert warnings_for(quirks, ContextRules(prompted, empty_system=True)) == ["l"]
    assert warnings_for(quirks, ContextRules(prompted, fold=True)) == []
    assert warnings_for(quirks, ContextRules([user("One?")])) == ["d"]


@pytest.mark.skipif(not REAL.is_dir(), reason="no folder ../shared/chat_templates beside the repository")
def test_every_real_template_can_be_asked():
    for path in sorted(REAL.glob("*.jinja")):
        for quirk in find_quirks(make_tokenizer(path.read_text(encoding="utf-8"))):
            assert "\n" not in quirk.text, path.stem
            assert len(quirk.text) < 500, path.stem
