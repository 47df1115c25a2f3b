"""Every template with every conversation shape: exact views, or one line that says why not; never a wrong mask."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bakery.chat.views import ViewBuilder, ViewPair
from bakery.errors import BakeryError
from bakery.rows.conversations import Conversation
from tests.templates.support import (
    COMMON,
    KINDS,
    OWN,
    REAL,
    Message,
    assistant,
    check_laws,
    make_tokenizer,
    shapes_for,
    user,
)

OWN_TEMPLATES = sorted((OWN / "own").glob("*.jinja"))
REAL_TEMPLATES = sorted(REAL.glob("*.jinja"))


REMEDY = re.compile(
    r"; (?:set chat_template_kwargs: \{(\w+): (true|false)\}|strip leading white space from the answer)"
)


def fresh() -> Counter[str]:
    names = ("exact", "refused with reason", "of these exact with the remedy named",
             "of these exact with system_role: fold", "WRONG")  # fmt: skip
    return Counter(dict.fromkeys(names, 0))


def outcome(builder: ViewBuilder, conversation: Conversation) -> list[ViewPair] | str:
    """The views of a conversation, or what the refusal says; a crash is a crash."""
    try:
        return builder.views(conversation)
    except BakeryError as error:
        return str(error)


def failure(tokenizer: Any, prefix: list[Message], row: list[Message], remedy: re.Match[str]) -> str:
    """What is wrong with the views of a row once what a refusal names is done; empty if nothing is."""
    kwargs = {remedy[1]: remedy[2] == "true"} if remedy[1] else {}
    if not kwargs:
        row = [{**m, "content": m["content"].lstrip()} if m["role"] == "assistant" else m for m in row]
    builder = ViewBuilder(tokenizer, prefix_messages=prefix, chat_template_kwargs=kwargs)
    pairs = outcome(builder, Conversation(tuple(row), None, "row 1"))
    if isinstance(pairs, str):
        return pairs
    try:
        check_laws(tokenizer, prefix, row, pairs, **kwargs)
    except AssertionError as error:
        return str(error)
    return ""


def judge(template: Path, kind: str, counter: Counter[str], **settings: object) -> list[str]:
    """Build each shape's views three times (located, with a layout made, from the layout); returns what is wrong."""
    source = template.read_text(encoding="utf-8")
    tokenizer = make_tokenizer(source, kind, **settings)
    wrong = []
    for name, (prefix, row) in shapes_for(source).items():
        conversation = Conversation(tuple(row), None, "row 1")
        for system_role in ("native", "fold"):
            builder = ViewBuilder(tokenizer, prefix_messages=prefix, system_role=system_role)
            pairs = outcome(builder, conversation)
            if isinstance(pairs, str):
                counter["refused with reason"] += system_role == "native"
                if "\n" in pairs or not pairs.startswith("row 1: ") or ";" not in pairs:
                    wrong.append(f"{template.stem}, {name}: not one line with source and remedy: {pairs}")
                remedy = REMEDY.search(pairs) if system_role == "native" else None
                if remedy and (why := failure(tokenizer, prefix, row, remedy)):
                    counter["WRONG"] += 1
                    wrong.append(f"{template.stem}, {name}: {remedy[0]!r} does not help: {why}")
                counter["of these exact with the remedy named"] += bool(remedy)
                continue
            try:
                assert builder.views(conversation) == pairs
                assert builder.views(conversation) == pairs, "the layout gives something else"
                check_laws(tokenizer, prefix, row, pairs, fold=system_role == "fold")
                counter["exact" if system_role == "native" else "of these exact with system_role: fold"] += 1
            except AssertionError as error:
                counter["WRONG"] += 1
                wrong.append(f"{template.stem}, {name}, {system_role}: {error}")
            break
    return wrong


def judge_all(templates: list[Path], kind: str, label: str, floor: int, counts: dict, **settings: object) -> None:
    """Judge every template; at least `floor` rows have exact views as they are, none has wrong ones."""
    counter = counts.setdefault(label, fresh())
    wrong = [line for path in templates for line in judge(path, kind, counter, **settings)]
    assert not wrong, "\n".join(wrong)
    assert counter["exact"] >= floor, dict(counter)


@pytest.mark.parametrize(("kind", "floor"), list(zip(KINDS, (161, 158, 182, 182, 182), strict=True)))
def test_own_templates_are_exact_or_refused(kind, floor, counts):
    judge_all(OWN_TEMPLATES, kind, f"own templates, {kind} tokenizer", floor, counts)


@pytest.mark.parametrize(("kind", "floor"), list(zip(KINDS, (104, 88, 108, 108, 108), strict=True)))
def test_common_templates_are_exact_or_refused(kind, floor, counts):
    judge_all(COMMON, kind, f"common templates, {kind} tokenizer", floor, counts)


@pytest.mark.parametrize(
    ("settings", "name"), [({"tags": False}, "without control tokens"), ({"adds_bos": True}, "that adds bos")]
)
def test_own_templates_with_other_tokenizers(settings, name, counts):
    judge_all(OWN_TEMPLATES, "bytes", f"own templates, bytes tokenizer {name}", 161, counts, **settings)


@pytest.mark.skipif(not REAL_TEMPLATES, reason="no folder ../shared/chat_templates beside the repository")
@pytest.mark.parametrize(("kind", "floor"), [("bytes", 636), ("pieces", 696)])
def test_real_templates_are_exact_or_refused(kind, floor, counts):
    label = f"{len(REAL_TEMPLATES)} real templates, {kind} tokenizer"
    judge_all(REAL_TEMPLATES, kind, label, floor, counts)


LONG = [{"role": "system", "content": "You are the pirate Xanthippe, and you know the tides. " * 120}]


def test_a_long_prefix_is_rendered_and_tokenised_once_and_not_per_row(monkeypatch):
    tokenizer = make_tokenizer((OWN / "own" / "plain.jinja").read_text(), "bytes")
    builder = ViewBuilder(tokenizer, prefix_messages=LONG)
    rendered, encoded = [], []
    render, plain = builder.renderer.render, builder.encoder._plain
    monkeypatch.setattr(builder.renderer, "render", lambda m, **k: rendered.append(m) or render(m, **k))
    monkeypatch.setattr(builder.encoder, "_plain", lambda text: encoded.append(len(text)) or plain(text))
    for i in range(300):
        builder.views(Conversation((user(f"Question {i}?"), assistant(f"Answer {i}.")), None, ""))
    long = len(LONG[0]["content"])
    assert sum(messages[0]["content"] == LONG[0]["content"] for messages in rendered) < 60
    assert sum(length > long for length in encoded) < 6
