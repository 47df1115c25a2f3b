"""An outlook counts with what is known, and what is given bounds what it says."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from bakery.chat.views import view_builder
from bakery.engine.session import open_session
from bakery.forecast.figures import Range
from bakery.forecast.outlook import OPEN_EPOCHS, Outlook, probes, steps_expected
from bakery.rows.bake_data import load_bake_data
from bakery.rows.conversations import Conversation
from bakery.rows.questions import ScoredQuestion
from bakery.settings.build import BakeSettings
from bakery.settings.config import ContextConfig, DataConfig, LoraConfig, ModelConfig
from tests.engine_support import PREFIX, QUESTIONS, settings, thinking_tokenizer


@pytest.fixture(scope="module")
def place(saved_base, tmp_path_factory):
    """Settings with only a prompt, their rows, and what was measured."""
    chosen = BakeSettings(
        bakery=settings(tmp_path_factory.mktemp("out"), num_train_epochs=None, trajectory_length=4),
        context=ContextConfig(prefix_messages=PREFIX),
        model=ModelConfig(model_name_or_path=saved_base),
        lora=LoraConfig(r=2),
        data=DataConfig(),
    )
    data = load_bake_data(chosen.context, chosen.data)
    session = open_session(
        chosen.model, adapter=chosen.lora, context=chosen.context, prefix_messages=data.prefix, args=chosen.bakery
    )
    return SimpleNamespace(settings=chosen, data=data, outlook=Outlook.measured(chosen, session, data))


def _with(place, **changes):
    args = settings(place.settings.bakery.output_dir, **{"num_train_epochs": None, "trajectory_length": 4, **changes})
    return replace(place.outlook, settings=replace(place.settings, bakery=args))


def test_only_a_prompt_is_written_for_asked_trained_and_proved(place):
    forecast = place.outlook.forecast(place.data)
    assert [part.name for part in forecast.parts] == ["writing", "gap", "sampling", "training", "proof"]
    assert forecast.open_ended
    assert forecast.steps.high == pytest.approx(forecast.steps.low * OPEN_EPOCHS[1] / OPEN_EPOCHS[0], abs=1)


def test_given_rows_are_measured_on_and_without_them_shipped_ones(place):
    builder = place.outlook.session.builder
    data = load_bake_data(place.settings.context, DataConfig(training_prompts=QUESTIONS))
    assert [prompt.source for prompt in probes(builder, data)] != [p.source for p in probes(builder, place.data)]
    assert len(probes(builder, place.data)) == len(probes(builder, data)) == 8


def test_what_is_done_is_left_out(place):
    left = place.outlook.forecast(place.data, done=("gap", "sampling"))
    assert [part.name for part in left.parts] == ["writing", "training", "proof"]


def test_a_slower_model_and_longer_answers_take_longer(place):
    usual = place.outlook.forecast(place.data, answer=2.0).seconds.low
    assert place.outlook.forecast(place.data, answer=2.0, slower=3.0).seconds.low > usual
    assert place.outlook.forecast(place.data, answer=4.0).seconds.low > usual


def test_thoughts_have_a_length_of_their_own_beside_that_of_the_answers(place):
    context = place.settings.context
    thinks = view_builder(thinking_tokenizer(), context, PREFIX)
    assert thinks.thinking
    session = replace(place.outlook.session, builder=thinks)

    def forecast(**changes):
        return replace(_with(place, **changes), session=session).forecast(place.data, answer=4.0)

    without, bounded, longer = forecast(), forecast(thinking_length=40), forecast(trajectory_length=44)
    assert bounded.seconds.low > without.seconds.low
    assert bounded.seconds.low >= longer.seconds.low, "what is put in takes its tokens too"
    none = _with(place, thinking_length=40).forecast(place.data, answer=4.0)
    assert none.seconds.low == pytest.approx(_with(place).forecast(place.data, answer=4.0).seconds.low)


def test_given_steps_are_no_range_and_minutes_are_a_bound(place):
    forecast = _with(place, max_steps=10**9).forecast(place.data)
    assert not forecast.open_ended
    bounded = _with(place, max_steps=10**9, max_minutes=1000.0).forecast(place.data, elapsed=10.0)
    before = sum(part.seconds.low for part in bounded.parts if part.name not in ("training", "proof"))
    (training,) = (part for part in bounded.parts if part.name == "training")
    assert training.seconds.low == pytest.approx(60_000 - 10 - before)
    assert bounded.limit_minutes == 1000.0


def test_steps_are_those_of_the_trainer(tmp_path):
    assert steps_expected(settings(tmp_path, num_train_epochs=3), 10) == Range(9, 9)
    assert steps_expected(settings(tmp_path, num_train_epochs=3, gradient_accumulation_steps=2), 10) == Range(6, 6)


def test_without_a_proof_none_is_expected_and_the_memory_is_no_more(place):
    asked = [ScoredQuestion(({"role": "user", "content": f"Who is {n}?"},), (), "row") for n in range(40)]
    answered = [
        Conversation(({"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Me."}), None, "row")
    ]
    data = replace(place.data, train=answered, heldout=asked)
    whole, without = (_with(place, proof=proof).forecast(data).memory.logits for proof in ("full", "none"))
    assert without < whole, "answers are given, so most of what is sampled at a time is sampled for the proof"
    whole, without = (_with(place, proof=proof).forecast(place.data) for proof in ("full", "none"))
    assert [part.name for part in without.parts] == ["writing", "gap", "sampling", "training"]
    assert without.seconds.high < whole.seconds.high
    assert without.memory.peak <= whole.memory.peak
    nothing = _with(place, proof="none", allow_no_gap=True).forecast(place.data)
    assert [part.name for part in nothing.parts] == ["writing", "sampling", "training"]
