"""Every template with every conversation shape: exact views, or one line that says why not; never a wrong mask."""

import random
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bakery.chat.views import ViewBuilder, ViewPair
from bakery.errors import BakeryError
from bakery.rows.conversations import Conversation
from tests.templates.support import (
    KINDS,
    OWN,
    PIRATE,
    REAL,
    Message,
    assistant,
    check_laws,
    make_tokenizer,
    shapes_for,
    user,
)

MINE = sorted((OWN / "own").glob("*.jinja"))
THEIRS = sorted(REAL.glob("*.jinja"))


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


def judge(template: Path, kind: str, counter: Counter[str], **settings: object) -> None:
    """Build each shape's views three times (slowly, building the mould, from the mould) and check the laws."""
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
                    wrong.append(f"{template.stem}, {name}: not one line with place and remedy: {pairs}")
                remedy = REMEDY.search(pairs) if system_role == "native" else None
                if remedy and (why := failure(tokenizer, prefix, row, remedy)):
                    counter["WRONG"] += 1
                    wrong.append(f"{template.stem}, {name}: {remedy[0]!r} does not help: {why}")
                counter["of these exact with the remedy named"] += bool(remedy)
                continue
            try:
                assert builder.views(conversation) == pairs
                assert builder.views(conversation) == pairs, "the mould gives something else"
                check_laws(tokenizer, prefix, row, pairs, fold=system_role == "fold")
                counter["exact" if system_role == "native" else "of these exact with system_role: fold"] += 1
            except AssertionError as error:
                counter["WRONG"] += 1
                wrong.append(f"{template.stem}, {name}, {system_role}: {error}")
            break
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("template", MINE, ids=lambda path: path.stem)
def test_own_templates_are_exact_or_refused(template, kind, counts):
    label = f"own templates, {kind} tokenizer"
    judge(template, kind, counts.setdefault(label, fresh()))


@pytest.mark.parametrize("template", MINE, ids=lambda path: path.stem)
@pytest.mark.parametrize("settings", [{"tags": False}, {"adds_bos": True}], ids=["no control tokens", "adds bos"])
def test_own_templates_with_other_tokenizers(template, settings, counts):
    name = "that adds bos" if settings.get("adds_bos") else "without control tokens"
    judge(template, "bytes", counts.setdefault(f"own templates, bytes tokenizer {name}", fresh()), **settings)


@pytest.mark.skipif(not THEIRS, reason="no folder ../shared/chat_templates beside the repository")
@pytest.mark.parametrize("kind", ["bytes", "pieces"])
@pytest.mark.parametrize("template", THEIRS, ids=lambda path: path.stem)
def test_real_templates_are_exact_or_refused(template, kind, counts):
    label = f"{len(THEIRS)} real templates, {kind} tokenizer"
    judge(template, kind, counts.setdefault(label, fresh()))


LONG = [{"role": "system", "content": "You are the pirate Xanthippe, and you know the tides. " * 120}]


@pytest.mark.parametrize(("name", "prefix"), [("short prefix", [PIRATE]), ("long prefix", LONG)])
def test_two_thousand_short_rows_a_second(name, prefix, counts):
    tokenizer = make_tokenizer((OWN / "own" / "plain.jinja").read_text(), "bytes")
    builder = ViewBuilder(tokenizer, prefix_messages=prefix)
    words = random.Random(0)
    rates = []
    for batch in range(6):
        rows = [
            Conversation(
                (user(f"What is the capital of country {words.random()}?"), assistant(f"City {i}, matey.")), None, ""
            )
            for i in range(200)
        ]
        start = time.thread_time()
        pairs = [pair for row in rows for pair in builder.views(row)]
        rates.append(200 / (time.thread_time() - start))
        assert len(pairs) == 200, batch
    length = len(pairs[0].teacher_ids) - len(pairs[0].student_ids)
    counts.setdefault(f"speed, {name} of {length:,} tokens", Counter())["rows/s of one core"] = round(max(rates))
    assert max(rates) >= 2000


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
