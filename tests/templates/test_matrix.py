"""Every template with every conversation shape: exact views, or one line that says why not; never a wrong mask."""

import re
from collections import Counter
from pathlib import Path

import pytest

from bakery.chat.views import ViewBuilder, ViewPair
from bakery.errors import BakeryError, TemplateError
from bakery.rows.conversations import Conversation
from tests.templates.support import (
    COMMON,
    KINDS,
    OWN,
    REAL,
    assistant,
    check_laws,
    make_tokenizer,
    shapes_for,
    user,
)

OWN_TEMPLATES = sorted((OWN / "own").glob("*.jinja"))
REAL_TEMPLATES = sorted(REAL.glob("*.jinja"))


LOST = re.compile("leaves out|does not write|rewrites the last|more than once")
"""A template that raises, or that drops or mangles a message: there are no views to be had."""


def fresh() -> Counter[str]:
    names = ("exact", "cannot be had", "refused", "of these exact with system_role: fold", "WRONG")
    return Counter(dict.fromkeys(names, 0))


def outcome(builder: ViewBuilder, conversation: Conversation) -> list[ViewPair] | BakeryError:
    """The views of a conversation, or the refusal; a crash is a crash."""
    try:
        return builder.views(conversation)
    except BakeryError as error:
        return error


def judge(template: Path, kind: str, counter: Counter[str], **settings: object) -> list[str]:
    """Build each shape's views and check the laws; returns what is wrong."""
    source = template.read_text(encoding="utf-8")
    tokenizer = make_tokenizer(source, kind, **settings)
    wrong = []
    for name, (prefix, row) in shapes_for(source).items():
        for system_role in ("native", "fold"):
            builder = ViewBuilder(tokenizer, prefix_messages=prefix, system_role=system_role)
            pairs = outcome(builder, Conversation(tuple(row), None, "row 1"))
            if isinstance(pairs, BakeryError):
                if system_role == "native":
                    lost = isinstance(pairs, TemplateError) or LOST.search(str(pairs))
                    counter["cannot be had" if lost else "refused"] += 1
                if "\n" in str(pairs) or not str(pairs).startswith("row 1: ") or ";" not in str(pairs):
                    wrong.append(f"{template.stem}, {name}: not one line with source and remedy: {pairs}")
                continue
            folds = system_role == "fold" or builder.folds_unasked
            try:
                check_laws(tokenizer, prefix, row, pairs, fold=folds, **builder.thinking_off)
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
    assert counter["exact"] >= 0.97 * (counter["exact"] + counter["refused"]), dict(counter)


@pytest.mark.parametrize(("kind", "floor"), list(zip(KINDS, (285,) * 5, strict=True)))
def test_own_templates_are_exact_or_refused(kind, floor, counts):
    judge_all(OWN_TEMPLATES, kind, f"own templates, {kind} tokenizer", floor, counts)


@pytest.mark.parametrize(("kind", "floor"), list(zip(KINDS, (186,) * 5, strict=True)))
def test_common_templates_are_exact_or_refused(kind, floor, counts):
    judge_all(COMMON, kind, f"common templates, {kind} tokenizer", floor, counts)


@pytest.mark.parametrize(
    ("settings", "name"), [({"tags": False}, "without control tokens"), ({"adds_bos": True}, "that adds bos")]
)
def test_own_templates_with_other_tokenizers(settings, name, counts):
    judge_all(OWN_TEMPLATES, "bytes", f"own templates, bytes tokenizer {name}", 285, counts, **settings)


@pytest.mark.skipif(not REAL_TEMPLATES, reason="no folder ../shared/chat_templates beside the repository")
@pytest.mark.parametrize(("kind", "floor"), [("bytes", 1448), ("pieces", 1448)])
def test_real_templates_are_exact_or_refused(kind, floor, counts):
    label = f"{len(REAL_TEMPLATES)} real templates, {kind} tokenizer"
    judge_all(REAL_TEMPLATES, kind, label, floor, counts)


LONG = [{"role": "system", "content": "You are the pirate Xanthippe, and you know the tides. " * 120}]


def test_a_long_prefix_is_tokenised_once_and_not_per_row(monkeypatch):
    tokenizer = make_tokenizer((OWN / "own" / "plain.jinja").read_text(), "bytes")
    builder = ViewBuilder(tokenizer, prefix_messages=LONG)
    encoded = []
    segment = builder.encoder._segment.__wrapped__
    monkeypatch.setattr("bakery.chat.encoding.Encoder._plain", lambda self, text: encoded.append(text) or segment(text))
    for i in range(300):
        builder.views(Conversation((user(f"Question {i}?"), assistant(f"Answer {i}.")), None, ""))
    assert sum(len(text) > len(LONG[0]["content"]) for text in encoded) < 6
