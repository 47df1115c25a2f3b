"""A run folder opened: its prompt, rules and questions."""

import pytest

from bakery.engine.distill import prefix
from bakery.errors import ConfigError
from bakery.rows.bake_data import BakeData
from bakery.rows.conversations import Conversation
from bakery.rows.document import Chunk
from bakery.taste.conversation import Asked, Ended
from bakery.taste.opening import FIRST_QUESTIONS, open_runs, prompt_of, questions_of
from tests.engine_support import PREFIX
from tests.taste.conftest import QUIET, baking_words, served_prompt


def row(text, prefix=None):
    return Conversation(({"role": "user", "content": text},), prefix, text)


def data(prefix=None, train=(), **changes):
    return BakeData(prefix, list(train), [], changes.pop("validation", []), [], [], [], **changes)


def test_a_run_is_opened_with_its_prompt_rules_and_held_out_questions(opened):
    tasting = opened.tasting
    assert tasting.prompt == opened.prompt == tuple(PREFIX)
    assert [rule.name for rule in tasting.rules] == ["greets", "short"]
    assert opened.questions == ("Who is there?", "What is the wifi password?")
    assert tasting.longest == 32768


def test_the_prompt_is_read_before_the_first_question(tasting, monkeypatch):
    monkeypatch.setattr(prefix, "prefix_key_values", lambda *given: pytest.fail("read again"))
    question = ({"role": "user", "content": "Why?"},)
    assert len(list(tasting.answers(Asked({"prompted": question}, max_new_tokens=2)))) >= 3


def test_without_held_out_questions_those_come_that_were_least_trained_on():
    assert questions_of(data(train=[row("a"), row("a"), row("b")])) == ("a", "b")
    assert questions_of(data(train=[row("a")], validation=[row("v")])) == ("v",)
    assert questions_of(data(train=[row("a")], validation=[row("v")], questions=[row("w")])) == ("w",)


def test_of_rows_with_prompts_of_their_own_the_first_is_shown():
    other = ({"role": "system", "content": "Other."},)
    assert prompt_of(data(train=[row("a", other), row("b")])) == other
    assert prompt_of(data(tuple(PREFIX), train=[row("a", other)])) == tuple(PREFIX)
    assert prompt_of(data(chunks=(Chunk("x", other),))) == ()
    with pytest.raises(ConfigError, match="no prompt"):
        prompt_of(data(train=[row("a")]))


def test_before_anything_is_baked_base_and_prompted_model_answer(saved_base, tmp_path, tasting):
    without = dict.fromkeys(("training_prompts", "eval_dataset", "eval_strategy", "eval_steps", "self_prompts"))
    served = served_prompt(baking_words(saved_base, tmp_path, **without))
    served.close()
    opened = served.current.opened
    assert [column.key for column in opened.columns] == ["base", "prompted"]
    assert (opened.runs, opened.questions) == ((), FIRST_QUESTIONS)
    question = ({"role": "user", "content": "Why?"},)
    asked = Asked(dict.fromkeys(("base", "prompted"), question), max_new_tokens=6)
    said, before = ([e.text for e in one.answers(asked) if isinstance(e, Ended)] for one in (opened.tasting, tasting))
    assert said == before  # the fresh adapter of a bake to come changes nothing


def test_several_runs_answer_each_as_it_does_alone_on_one_base(bake, two_runs, tasting):
    chosen, _ = bake
    opened = open_runs(chosen, two_runs, QUIET)
    assert [(c.key, c.name) for c in opened.columns[2:]] == [("baked", "baked: out"), ("baked-2", "baked: other")]
    assert [(run.name, run.same_prompt) for run in opened.runs] == [("out", True), ("other", False)]
    question = ({"role": "user", "content": "Why?"},)

    def said(one, keys):
        asked = Asked(dict.fromkeys(keys, question), max_new_tokens=12, strength=0.5)
        return {event.column: event.text for event in one.answers(asked) if isinstance(event, Ended)}

    both = said(opened.tasting, opened.tasting.keys)
    assert {key: both[key] for key in ("base", "prompted", "baked")} == said(tasting, ("base", "prompted", "baked"))
    alone = open_runs(chosen, two_runs[1:], QUIET).tasting
    assert both["baked-2"] == said(alone, ("baked",))["baked"] != both["baked"]


def test_runs_whose_folders_do_not_tell_their_prompt_are_said_to(bake, two_runs, tmp_path):
    import shutil

    shutil.copytree(two_runs[1], tmp_path / "bare")
    (tmp_path / "bare" / "bakery.yaml").unlink()
    assert [run.same_prompt for run in open_runs(bake[0], [two_runs[0], tmp_path / "bare"], QUIET).runs] == [True, None]
