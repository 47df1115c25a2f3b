"""Arguments of tool calls: as text or as a mapping they give the same views, in the form that the template takes."""

import json

import pytest

from bakery.chat.calls import as_mapping, as_text, with_arguments
from bakery.chat.views import build_views
from tests.chat.support import PIRATE, learned
from tests.templates.support import ASK, COMMON, assistant, ids_of, make_tokenizer

ARGUMENTS = {"harbour": "Zeebrugge — Ys", "deep": [1, None]}
LISTS = {path.stem: path.read_text(encoding="utf-8") for path in COMMON}
TEXT_ONLY = LISTS["qwen-2.5"].replace("call.arguments | tojson", "call.arguments")


def calling(arguments, bare=False):
    function = {"name": "lookup_tide", "arguments": arguments}
    return [ASK, assistant("", tool_calls=[function if bare else {"type": "function", "function": function}])]


@pytest.mark.parametrize("bare", [False, True])
def test_arguments_are_put_into_a_form(bare):
    (_, text), (_, mapping) = calling(json.dumps(ARGUMENTS), bare), calling(ARGUMENTS, bare)
    assert with_arguments(text, as_mapping) == with_arguments(mapping, as_mapping) == mapping
    assert as_mapping(as_text(ARGUMENTS)) == ARGUMENTS
    assert with_arguments(ASK, as_mapping) is ASK


@pytest.mark.parametrize("other", ["", "{", "[1]", "tide", "[" * 100_000, None, 3])
def test_what_is_no_mapping_stays_as_it_is(other):
    assert as_mapping(other) == other
    assert as_text(other) == other
    assert with_arguments(calling(other)[1], as_mapping) == calling(other)[1]


@pytest.mark.parametrize("arguments", [ARGUMENTS, json.dumps(ARGUMENTS)])
def test_a_template_that_writes_json_is_given_the_mapping(arguments):
    tokenizer = make_tokenizer(LISTS["qwen-2.5"])
    (pair,) = build_views(tokenizer, calling(arguments), prefix_messages=[PIRATE])
    assert pair.student_ids == ids_of(tokenizer, calling(ARGUMENTS))
    assert '"Zeebrugge — Ys"' in learned(tokenizer, pair)


@pytest.mark.parametrize("arguments", [ARGUMENTS, json.dumps(ARGUMENTS, ensure_ascii=False)])
def test_a_template_that_takes_text_only_is_given_the_text(arguments):
    assert LISTS["qwen-2.5"] != TEXT_ONLY
    tokenizer = make_tokenizer(TEXT_ONLY)
    (pair,) = build_views(tokenizer, calling(arguments), prefix_messages=[PIRATE])
    assert pair.student_ids == ids_of(tokenizer, calling(json.dumps(ARGUMENTS, ensure_ascii=False)))
