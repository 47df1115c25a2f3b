"""The rows of a bake, complete: given ones first, written ones only where they are wanted, all of them again later."""

import json

import pytest

from bakery.progress import Progress, Verbosity
from bakery.settings.build import BakeSettings
from bakery.settings.config import ContextConfig, DataConfig, LoraConfig, ModelConfig
from bakery.writing.completion import complete_rows, measurable_rows, reserved_rows
from bakery.writing.written import PROMPTS
from tests.engine_support import settings
from tests.writing.support import FACTS, GIVEN, asked, bake_data, last_words

QUIET = Progress(Verbosity.QUIET)
ROWS = [asked(text) for text in GIVEN]


@pytest.fixture
def chosen(tmp_path):
    """Settings of a bake of three facts, with what the rows are given by."""

    def make(**data) -> BakeSettings:
        return BakeSettings(
            settings(tmp_path / "out"),
            ContextConfig(prefix_messages=[*FACTS]),
            ModelConfig(model_name_or_path="starter"),
            LoraConfig(),
            DataConfig(**data),
        )

    return make


def test_rows_with_answers_are_complete_and_the_model_is_not_asked(chosen, tmp_path):
    data = bake_data([asked(f"question {number}", "answer") for number in range(40)])
    whole = complete_rows(data, chosen(), None, QUIET)
    assert sorted(last_words([*whole.train, *whole.validation])) == sorted(last_words(data.train))
    assert whole.validation
    assert not (tmp_path / "out").exists()


def test_what_was_written_is_read_by_a_resumed_bake_and_by_who_evaluates_it(chosen, session, tmp_path):
    wanted = chosen(self_prompts=3, self_anchors=2)
    whole = complete_rows(bake_data(ROWS), wanted, session, QUIET)
    assert last_words(whole.train)[: len(GIVEN)] == GIVEN
    assert 0 < len(whole.train) - len(GIVEN) <= 3
    assert len(whole.anchors) == 2
    assert whole.questions

    def parts(data):
        return [last_words(rows) for rows in (data.train, data.anchors, data.validation, data.questions)]

    assert parts(complete_rows(bake_data(ROWS), wanted, None, QUIET, resumed=True)) == parts(whole)
    assert parts(reserved_rows(bake_data(ROWS), wanted, tmp_path / "out")) == parts(whole)

    written = tmp_path / "out" / PROMPTS
    edited = {"messages": [{"role": "user", "content": "Edited by a person?"}]}
    written.write_text(written.read_text() + json.dumps(edited) + "\n")
    again = complete_rows(bake_data(ROWS), wanted, None, QUIET, resumed=True)
    assert last_words(again.train)[-1] == "Edited by a person?"


def test_questions_are_written_only_where_there_is_nothing_to_measure_on(chosen, session):
    given = bake_data(ROWS)
    assert measurable_rows(given, chosen(), None, QUIET) == given
    asked_for = measurable_rows(bake_data(), chosen(), session, QUIET)
    assert asked_for.questions
    assert asked_for.train == []
