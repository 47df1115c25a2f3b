"""A bake that is started from the page is the command's, bit for bit, and leaves something that can be asked."""

import threading

import pytest

from bakery.errors import ConfigError, DataError
from bakery.settings.build import build, check_settings
from bakery.taste.bake_command import BakeCommand
from bakery.taste.conversation import Asked, Ended
from bakery.taste.worker import Worker
from tests.taste.conftest import QUIET, baking_words, served_prompt

QUESTION = ({"role": "user", "content": "Hello!"},)
OTHER = [{"role": "system", "content": "Answer with one word: no."}]


@pytest.fixture
def prompt(saved_base, tmp_path):
    own = served_prompt(baking_words(saved_base, tmp_path))
    yield own
    own.close()


def wait(served):
    """Until the worker has nothing to do."""
    done = threading.Event()
    served.worker.submit(iter(()), lambda event: done.set() if event is None else None)
    assert done.wait(120)
    return served.page_bake.record.state


def test_the_bake_of_the_page_is_that_of_the_command_bit_for_bit(prompt, saved_base, tmp_path):
    page_bake = prompt.page_bake
    page_bake.start(None, "Hello!")
    with pytest.raises(ConfigError, match="a bake is going on"):
        page_bake.start(None, "Hello!")
    state = wait(prompt)
    assert (state.number, state.phase, state.error) == (1, "done", "")
    assert state.stages[-1].title == "measuring the proof"
    assert [line["step"] for line in state.curve if "loss" in line] == [3, 6, 9, 12]
    assert [line["step"] for line in state.curve if "eval_loss" in line] == [6, 12]
    assert [answer.step for answer in state.answers] == [0, 8, 12]
    opened = prompt.current.opened
    assert [column.key for column in opened.columns] == ["base", "prompted", "baked"]
    ended = [e for e in opened.tasting.answers(Asked(dict.fromkeys(opened.tasting.keys, QUESTION), max_new_tokens=64))
             if isinstance(e, Ended)]  # fmt: skip
    said = {event.column: event.text for event in ended}
    assert (said["base"], said["prompted"], said["baked"]) == (
        state.answers[0].text,
        state.prompted,
        state.answers[-1].text,
    )
    assert len(set(said.values())) > 1

    from bakery.baking import bake

    plain = BakeCommand(None, baking_words(saved_base, tmp_path, output_dir=tmp_path / "plain"))
    bake(build(check_settings(plain.given())), QUIET)
    name = "adapter_model.safetensors"
    assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


def test_a_changed_prompt_is_baked_into_the_next_folder_and_a_failure_leaves_what_was_there(
    prompt, tmp_path, monkeypatch
):
    page_bake = prompt.page_bake
    page_bake.start(OTHER, "Hello!")
    assert wait(prompt).phase == "done"
    assert prompt.current.opened.prompt == tuple(OTHER)
    assert page_bake.command_for(None)[1] == tmp_path / "out-2"

    def refuse(*given, **named):
        raise DataError("the rows\nare bad")

    monkeypatch.setattr("bakery.taste.page_bake.bake", refuse)
    page_bake.start(None, "Hello!")
    state = wait(prompt)
    assert (state.number, state.phase, state.error) == (2, "failed", "the rows are bad")
    assert [run.name for run in prompt.current.opened.runs] == ["out"]
    assert prompt.current.opened.tasting is not None


def test_a_bake_that_is_stopped_leaves_the_base_and_the_prompted_model(prompt, monkeypatch):
    begun = threading.Event()

    def endless(settings, progress, data, **named):
        assert prompt.current.opened.tasting is None  # one model in memory at a time
        with progress.stage("training", "training", None, "steps") as stage:
            begun.set()
            while True:
                stage(1)

    monkeypatch.setattr("bakery.taste.page_bake.bake", endless)
    prompt.page_bake.start(None, "Hello!")
    assert begun.wait(60)
    prompt.page_bake.stop()
    state = wait(prompt)
    assert (state.phase, state.error) == ("stopped", "")
    assert [column.key for column in prompt.current.opened.columns] == ["base", "prompted"]
    assert prompt.current.opened.tasting is not None


def test_what_cannot_begin_is_refused_in_one_line(prompt):
    with pytest.raises(ConfigError, match="the prompt is empty"):
        prompt.page_bake.start([{"role": "system", "content": "  "}], "Hello!")
    prompt.page_bake.worker = Worker()
    prompt.page_bake.worker.close()
    with pytest.raises(ConfigError, match="start bakery taste again"):
        prompt.page_bake.start(None, "Hello!")
    assert prompt.page_bake.record.state.phase == "idle"
