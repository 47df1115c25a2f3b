"""The header of a message that the model writes: every rendering begins with it, whatever words follow."""

from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bakery.chat.pre_query import PreQuery, pre_query
from bakery.chat.views import ViewBuilder
from bakery.errors import BakeryError, DataError, TemplateError, ViewError
from tests.chat.support import own
from tests.templates.support import (
    COMMON,
    KINDS,
    OWN,
    PIRATE,
    REAL,
    assistant,
    folded,
    ids_of,
    make_tokenizer,
    system,
    text_of,
    user,
)

OURS = (*sorted((OWN / "own").glob("*.jinja")), *COMMON)
REAL_TEMPLATES = tuple(sorted(REAL.glob("*.jinja")))
CHAT = [user("Who are you?"), assistant("Arr, a pirate.")]
BEHIND_A_SYSTEM_MESSAGE = "Qui va là"
SCENES = {
    "prompted": ([PIRATE], [], True),
    "bare": ([PIRATE], [], False),
    "second turn": ([PIRATE], CHAT, True),
    "system": ([], [], None),
}
"""Prefix, chat so far, and whether the prefix is seen; None: the message is the system message."""
PIECES = ["What", "is", "I'm", "a", "7", "+", "=", "(", "##", "«", "…", "-", "?", "!", "'no'", "Ärger", "ß", "東京",
          "🙂", "שלום", "<b>", "[x]", " ", "  ", "\n"]  # fmt: skip
MARKUP = ["<|im_end|>", "</s>", "<|eot_id|>", "[/INST]", "<end_of_turn>"]


def stripped(pieces: list[str], between: str = "") -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(pieces), min_size=1, max_size=9).map(between.join).map(str.strip).filter(bool)


@dataclass(frozen=True)
class Case:
    """A header that was found, and how the whole conversation is rendered without the package."""

    name: str
    builder: ViewBuilder
    scene: str
    query: PreQuery

    @property
    def tokenizer(self) -> Any:
        return self.builder.renderer.tokenizer

    def messages(self, words: str) -> list[dict[str, Any]]:
        prefix, chat, prompted = SCENES[self.scene]
        if prompted is None:
            return [system(words), user(BEHIND_A_SYSTEM_MESSAGE)]
        whole = [*(prefix if prompted else []), *chat, user(words)]
        return folded(whole) if self.builder.folds_unasked else whole

    def ids(self, words: str) -> list[int]:
        return ids_of(self.tokenizer, self.messages(words), add_generation_prompt=True, **self.builder.thinking_off)


@cache
def searched(paths: tuple[Path, ...], kind: str) -> tuple[list[Case], list[str]]:
    """The headers that these templates have, and the refusals of those that have none."""
    texts = [*PIECES, *MARKUP, "Qui va là what is 8 she said Be Xanthippe the pirate of Zzyzx. Who are you? Arr"]
    cases, refusals = [], []
    for path in paths:
        tokenizer = make_tokenizer(path.read_text(encoding="utf-8"), kind, words=texts if kind == "words" else ())
        for scene, (prefix, chat, prompted) in SCENES.items():
            try:
                builder = ViewBuilder(tokenizer, prefix_messages=prefix)
                more = {"role": "system"} if prompted is None else {"prompted": prompted}
                cases.append(Case(f"{path.stem}, {scene}", builder, scene, pre_query(builder, chat, **more)))
            except BakeryError as error:
                refusals.append(f"{path.stem}, {scene}: {type(error).__name__}: {error}")
    return cases, refusals


def check(cases: list[Case], words: str) -> None:
    """Ids are a prefix whatever follows, and the words of what is written behind them come back."""
    for case in cases:
        whole, count = case.ids(words), len(case.query.ids)
        assert whole[:count] == list(case.query.ids), case.name
        stop = case.query.stop_text.strip()
        if words not in text_of(case.tokenizer, case.messages(words), True) or (stop and stop in words):
            continue  # a few templates rewrite some words, and some texts end the message
        assert case.query.words(case.tokenizer, whole[count:]) == words, case.name


# ---- on all templates ----


@pytest.mark.parametrize("kind", KINDS)
def test_a_header_is_what_every_rendering_begins_with_and_the_words_come_back(kind):
    cases, _ = searched(OURS, kind)

    @settings(max_examples=12, deadline=None, database=None)
    @given(stripped(PIECES, " ") if kind == "words" else stripped(PIECES + MARKUP))
    def law(words):
        assume(not words.startswith(tuple(MARKUP)))  # such words are encoded apart from the header
        check(cases, words)

    law()


@pytest.mark.skipif(not REAL_TEMPLATES, reason="no folder ../shared/chat_templates beside the repository")
@pytest.mark.parametrize("kind", ["bytes", "pieces"])
@pytest.mark.parametrize("words", ["What is 7 + 8?", "…and then? Ärger, 東京 🙂", "'no'\n- one\n- two"])
def test_the_same_on_real_templates(kind, words):
    check(searched(REAL_TEMPLATES, kind)[0], words)


@pytest.mark.parametrize(
    ("paths", "name", "floor"),
    [(OURS, "our templates", 27), (REAL_TEMPLATES, "real templates", 77)],
    ids=["ours", "real"],
)
def test_a_header_is_found_or_refused_in_one_line_with_a_remedy(paths, name, floor, counts):
    if not paths:
        pytest.skip("no folder ../shared/chat_templates beside the repository")
    cases, refusals = searched(paths, "bytes")
    found = Counter(case.scene for case in cases)
    for scene in SCENES:
        counter = counts.setdefault(f"headers of a message, {name}, {scene}", Counter())
        counter.update({"found": found[scene], "refused": len(paths) - found[scene]})
    for refusal in refusals:
        assert ": TemplateError: " in refusal or ": ViewError: " in refusal
        assert "\n" not in refusal
        assert ";" in refusal
    assert found["prompted"] >= floor
    assert found["bare"] >= found["prompted"]


def test_the_end_of_a_header_that_depends_on_the_words_is_white_space_left_to_the_model():
    for kind in KINDS:
        for case in searched(OURS, kind)[0]:
            before = text_of(case.tokenizer, case.messages("Zzz?"), True).partition("Zzz?")[0]
            assert before.endswith(case.query.lead), case.name
            assert not case.query.lead.strip(), case.name


# ---- what ends a message, and what breaks it ----


@pytest.fixture(scope="module")
def plain_query():
    builder = ViewBuilder(own("plain"), prefix_messages=[PIRATE])
    return builder.renderer.tokenizer, pre_query(builder)


def encoded(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False)


def test_a_message_is_stopped_by_its_end_of_turn_by_the_end_of_the_text_and_by_what_the_caller_adds():
    builder = ViewBuilder(own("plain"), prefix_messages=[PIRATE])
    tokenizer = builder.renderer.tokenizer
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert pre_query(builder).stop_ids == {end, tokenizer.eos_token_id}
    assert pre_query(builder, end_ids=[5, 7]).stop_ids == {end, tokenizer.eos_token_id, 5, 7}
    assert pre_query(builder).stop_text == ""


def test_where_no_token_ends_a_message_a_text_does():
    template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n\n{% endfor %}assistant:"
    builder = ViewBuilder(make_tokenizer(template), prefix_messages=[PIRATE])
    query, tokenizer = pre_query(builder), builder.renderer.tokenizer
    assert query.stop_text.strip() == "assistant:"
    assert query.words(tokenizer, encoded(tokenizer, " Why?\n\nassistant: Because.\n\nuser: Ah.")) == "Why?"
    assert query.words(tokenizer, encoded(tokenizer, " Why?\n\nSo")) is None


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("Why?<|im_end|>", "Why?"),
        ("  Why?\n\n<|im_end|>", "Why?"),
        ("Why?<|im_end|>\n<|im_start|>assistant\n", "Why?"),
        ("Why?", None),
        ("", None),
        ("<|im_end|>", None),
        (" \n<|im_end|>", None),
        ("Why<|im_start|> not?<|im_end|>", None),
        ("<s>Why?<|im_end|>", None),
    ],
)
def test_a_turn_that_is_unended_empty_or_holds_a_control_token_is_broken(plain_query, written, words):
    tokenizer, query = plain_query
    assert query.words(tokenizer, encoded(tokenizer, written)) == words


def test_a_turn_with_half_a_character_is_broken(plain_query):
    tokenizer, query = plain_query
    smile, end = encoded(tokenizer, "🙂"), encoded(tokenizer, "<|im_end|>")
    assert query.words(tokenizer, [*smile, *end]) == "🙂"
    assert query.words(tokenizer, [*smile[:-1], *end]) is None


# ---- what has no header ----


def one_line(builder: ViewBuilder, *arguments: Any, **named: Any) -> str:
    with pytest.raises((ViewError, TemplateError)) as refused:
        pre_query(builder, *arguments, **named)
    assert len(str(refused.value).splitlines()) == 1
    return str(refused.value)


FRAME = "{% for m in messages %}<|im_start|>{{ m.role }}\n%s<|im_end|>\n{% endfor %}<|im_start|>assistant\n"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (FRAME.replace("%s", "{{ m.content }} {{ m.content }}"), "writes the user message more than once"),
        (FRAME.replace("%s", "{{ m.content | upper }}"), "user message"),
        (FRAME.replace("%s", "{% if m.role != 'user' %}{{ m.content }}{% endif %}"), "user message"),
        ("{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}", "writes nothing before the user message"),
        ("{% for m in messages %}<|im_start|>{{ m.content }}{% endfor %}", "writes nothing behind the user message"),
        (FRAME.replace("%s", "{{ raise_exception('no users') if m.role == 'user' }}{{ m.content }}"), "no users"),
    ],
    ids=["twice", "rewritten", "left out", "no header", "no end", "refused"],
)
def test_a_template_without_a_header_for_users_is_refused_in_one_line(template, said):
    line = one_line(ViewBuilder(make_tokenizer(template)))
    assert said in line
    assert ";" in line


def test_a_system_message_is_the_first_one_and_needs_a_header_of_its_own():
    builder = ViewBuilder(own("plain"))
    assert "give neither row nor prefix" in one_line(builder, CHAT, role="system")
    assert "give neither row nor prefix" in one_line(builder, prefix=[PIRATE], role="system")
    assert "folded into the user's" in one_line(ViewBuilder(own("plain"), system_role="fold"), role="system")
    assert "System role not supported" in one_line(ViewBuilder(own("rejects_system")), role="system")
    assert "'assistant'" in one_line(builder, role="assistant")
    with pytest.raises(DataError):
        pre_query(builder, [{"role": "user"}])


# ---- which conversation it is ----


def test_the_prefix_of_a_row_replaces_the_common_one_and_none_is_none():
    tokenizer = own("plain")
    common = ViewBuilder(tokenizer, prefix_messages=[PIRATE])
    other = [system("Be kind.")]
    assert pre_query(common, prefix=other) == pre_query(ViewBuilder(tokenizer, prefix_messages=other))
    assert pre_query(common, prefix=()) == pre_query(ViewBuilder(tokenizer)) == pre_query(common, prompted=False)


def test_the_student_sees_what_is_retained():
    tokenizer, shots = own("plain"), [user("One?"), assistant("Arr.")]
    retaining = ViewBuilder(tokenizer, prefix_messages=[PIRATE, *shots], student_retained_turns=2)
    only_shots = ViewBuilder(tokenizer, prefix_messages=shots)
    assert pre_query(retaining, prompted=False) == pre_query(only_shots)
    assert pre_query(retaining) != pre_query(only_shots)
