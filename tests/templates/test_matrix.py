"""Every template with every conversation shape: exact views, or one line that says why not; never a wrong mask."""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from bakery.chat.views import ViewBuilder, ViewPair
from bakery.errors import BakeryError, TemplateError
from bakery.rows.conversations import Conversation
from bakery.rows.tools import with_tools
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
from tests.templates.tool_shapes import SHAPES as TOOL_SHAPES
from tests.templates.tool_shapes import are_left_out

OWN_TEMPLATES = sorted((OWN / "own").glob("*.jinja"))
REAL_TEMPLATES = sorted(REAL.glob("*.jinja"))


KINDS_OF_OUTCOME = ("exact", "cannot be had", "refused", "of these exact with system_role: fold", "WRONG")
LOST = re.compile("leaves out|does not write|rewrites the last|more than once")
"""A template that raises, or that drops or mangles a message: there are no views to be had."""


def fresh() -> Counter[str]:
    return Counter(dict.fromkeys(KINDS_OF_OUTCOME, 0))


def outcome(builder: ViewBuilder, conversation: Conversation) -> list[ViewPair] | BakeryError:
    """The views of a conversation, or the refusal; a crash is a crash."""
    try:
        return builder.views(conversation)
    except BakeryError as error:
        return error


def judge(
    template: Path, kind: str, counter: Counter[str], shapes: Mapping[str, tuple] | None = None, **settings: object
) -> list[str]:
    """Build each shape's views and check the laws; returns what is wrong."""
    source = template.read_text(encoding="utf-8")
    tokenizer = make_tokenizer(source, kind, **settings)
    wrong = []
    shapes = shapes_for(source) if shapes is None else shapes
    for name, (prefix, row, *given) in shapes.items():
        baked, own = given or ((), ())
        for system_role in ("native", "fold"):
            builder = ViewBuilder(tokenizer, prefix_messages=with_tools(prefix, baked), system_role=system_role)
            pairs = outcome(builder, Conversation(tuple(row), None, "row 1", tuple(own)))
            if isinstance(pairs, BakeryError):
                if system_role == "native":
                    lost = isinstance(pairs, TemplateError) or LOST.search(str(pairs))
                    counter["cannot be had" if lost else "refused"] += 1
                if "\n" in str(pairs) or not str(pairs).startswith("row 1: ") or ";" not in str(pairs):
                    wrong.append(f"{template.stem}, {name}: not one line with source and remedy: {pairs}")
                continue
            folds = system_role == "fold" or builder.folds_unasked
            try:
                shown = {"tools": own, "baked_tools": baked}
                check_laws(tokenizer, prefix, row, pairs, fold=folds, **shown, **builder.thinking_off)
                if given:
                    left_out = are_left_out(tokenizer, row, [*baked, *own], **builder.thinking_off)
                    assert left_out == builder.leaves_out_tools, f"left out: {left_out}, said otherwise"
                    counter["tools left out, and said"] += left_out
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
@pytest.mark.parametrize(("kind", "floor"), [("bytes", 1452), ("pieces", 1452)])
def test_real_templates_are_exact_or_refused(kind, floor, counts):
    label = f"{len(REAL_TEMPLATES)} real templates, {kind} tokenizer"
    judge_all(REAL_TEMPLATES, kind, label, floor, counts)


def judge_tools(templates: list[Path], kind: str, label: str, floors: tuple[int, ...], counts: dict) -> None:
    """Judge every template with every shape of tools; none has wrong views."""
    wrong = []
    for (name, shape), floor in zip(TOOL_SHAPES.items(), floors, strict=True):
        counter = counts.setdefault(f"{label}, {kind}: {name}", fresh())
        wrong += [line for path in templates for line in judge(path, kind, counter, {name: shape})]
        assert counter["exact"] >= floor, (name, dict(counter))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("kind", ["bytes", "pieces"])
def test_own_and_common_templates_with_tools_are_exact_or_refused(kind, counts):
    judge_tools([*OWN_TEMPLATES, *COMMON], kind, "our templates", (26, 5, 4, 26, 5, 4, 2, 2, 26), counts)


@pytest.mark.skipif(not REAL_TEMPLATES, reason="no folder ../shared/chat_templates beside the repository")
@pytest.mark.parametrize("kind", ["bytes", "pieces"])
def test_real_templates_with_tools_are_exact_or_refused(kind, counts):
    judge_tools(REAL_TEMPLATES, kind, "real templates", (77, 43, 41, 75, 41, 39, 45, 39, 77), counts)


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
