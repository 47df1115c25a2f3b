"""Rows and a document: one prefix for all or one for each, always within the model's context."""

import pytest

from bakery.errors import ConfigError
from bakery.rows.bake_data import BakeData
from bakery.rows.conversations import Conversation
from bakery.rows.document import Document
from bakery.rows.placement import LONGEST_CHUNK, ModelLimits, placed
from bakery.rows.questions import ScoredQuestion
from bakery.settings.config import DataConfig
from tests.rows.support import system, user

NAMES = ["Nora", "Felix", "Omar", "Clara", "Hugo"]
TEXT = "\n\n".join(f"The code of {name} is {number}. It was changed on a day in May that year, says {name} now."
                   for number, name in enumerate(NAMES))  # fmt: skip


def limits(context=10_000, room=20):
    return ModelLimits(lambda text: len(text.split()), context, room)


def data(*asked, **others):
    document = Document(TEXT, "{corpus}", "notes.md")
    rows = [Conversation((user(text),), None, text) for text in asked]
    return BakeData(document.prefix_of(TEXT), rows, [], [], [], [], [], document=document, **others)


def settings(**given):
    return DataConfig(corpus_file="notes.md", **given)


def test_without_a_document_rows_stay_as_they_are():
    plain = BakeData((system("Be kind."),), [Conversation((user("a"),), None, "a")], [], [], [], [], [])
    assert placed(plain, DataConfig(), limits()) is plain


def test_auto_shows_all_of_a_document_that_is_no_longer_than_a_chunk_with_its_neighbours():
    tokens = len(TEXT.split())
    whole = placed(data("Why?"), settings(corpus_chunk_tokens=-(-tokens // 3)), limits())
    assert whole.prefix == (system(TEXT),)
    assert {row.prefix for row in whole.train} == {None}
    assert len(whole.chunks) > 1
    longer = placed(data("Why?"), settings(corpus_chunk_tokens=20), limits())
    assert longer.prefix is None


def test_every_row_without_a_prefix_stands_behind_the_chunk_it_is_about():
    own = Conversation((user("Hugo?"),), (system("own"),), "own")
    given = data(*(f"What is {name}'s code?" for name in NAMES), "Sing!")
    given.train.append(own)
    given.heldout.append(ScoredQuestion((user("Omar's code?"),), ("2",), "q"))
    rows = placed(given, settings(corpus_context="chunk", corpus_chunk_tokens=20), limits())
    assert len(rows.chunks) == len(NAMES)
    for row, name in zip(rows.train, NAMES, strict=False):
        assert name in row.prefix[0]["content"]
    assert rows.train[5].prefix in [chunk.prefix for chunk in rows.chunks]
    assert rows.train[6] == own
    assert "code of Omar" in rows.heldout[0].prefix[0]["content"]


def test_a_chunk_is_a_part_of_the_models_context_and_no_longer_than_one_page():
    assert limits(context=None).chunk == limits(context=10**6).chunk == LONGEST_CHUNK
    assert limits(context=2048).chunk == 64


@pytest.mark.parametrize(
    ("given", "context", "says"),
    [
        ({"corpus_context": "whole"}, 100, "corpus_context: whole: notes.md has 95 tokens"),
        ({"corpus_context": "chunk", "corpus_chunk_tokens": 40}, 120, "corpus_chunk_tokens: 40: a chunk with its"),
        ({"corpus_context": "chunk", "corpus_chunk_tokens": 16}, 30, "use a shorter system_prompt_template"),
    ],
)
def test_what_does_not_fit_the_context_is_refused_with_the_way_out(given, context, says):
    with pytest.raises(ConfigError) as refused:
        placed(data("Why?"), settings(**({"corpus_chunk_tokens": 20} | given)), limits(context, room=40))
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_largest_chunk_that_the_refusal_names_fits():
    with pytest.raises(ConfigError, match="use at most ") as refused:
        placed(data("Why?"), settings(corpus_context="chunk", corpus_chunk_tokens=40), limits(100, room=20))
    most = int(str(refused.value).rpartition(" ")[2])
    placed(data("Why?"), settings(corpus_context="chunk", corpus_chunk_tokens=most), limits(100, room=20))
