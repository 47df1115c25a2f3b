"""A trial measures every rate and leaves the model, its adapter and all random numbers as they were."""

import math
import time
from dataclasses import replace
from itertools import count

import pytest
import torch

from bakery.chat.thinking import ThinkingTokens
from bakery.chat.views import view_builder
from bakery.engine.distill.samplers.sampler import ThinkingBound
from bakery.engine.session import session_of
from bakery.forecast.trial import SavedBytes, Stopwatch, alone
from bakery.rows.conversations import conversations
from bakery.settings.config import ContextConfig
from tests.engine_support import PREFIX, QUESTIONS, adapter_weights, settings, tiny_model, tokenizer


def _stopwatch(folder, now=time.perf_counter):
    args = settings(folder)
    builder = view_builder(tokenizer(), ContextConfig(prefix_messages=PREFIX), PREFIX, None)
    session = session_of(tiny_model(), tokenizer(), builder, args)
    prompts = [builder.prompts(row) for row in conversations(QUESTIONS)]
    return Stopwatch(alone(session.engine(prompts)), args, now), prompts


def test_every_rate_is_measured_and_nothing_is_changed(tmp_path):
    stopwatch, prompts = _stopwatch(tmp_path)
    model = stopwatch.engine.model
    before, state = adapter_weights(model), torch.random.get_rng_state()
    trial = stopwatch.measure(prompts, 0.001)
    for pace in (trial.rates.base, trial.rates.adapted):
        assert all(math.isfinite(value) and value >= 0 for value in vars(pace).values())
        assert pace.read > 0
        assert pace.passes + pace.sampled > 0
    assert trial.rates.adapted.trained > 0
    assert 1 <= trial.answer <= stopwatch.args.trajectory_length
    assert trial.saved_bytes > 0
    after = adapter_weights(model)
    assert all(torch.equal(after[name], weight) for name, weight in before.items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not list(tmp_path.iterdir())


def test_answers_that_run_out_of_time_are_as_long_as_those_that_ended_tell(tmp_path):
    ticks = count()
    stopwatch, prompts = _stopwatch(tmp_path, now=lambda: float(next(ticks)))  # every look at the clock is a second
    trial = stopwatch.measure(prompts, 0.001)
    assert trial.answer == stopwatch.args.trajectory_length  # none has ended


def test_thoughts_and_what_is_put_in_behind_them_are_tokens_of_an_answer(tmp_path):
    stopwatch, prompts = _stopwatch(tmp_path)
    bound = ThinkingBound(5, ThinkingTokens(openings=((),), endings=((3, 3, 3),), closing=(3, 3, 3)))
    longest = 5 + 3 + stopwatch.args.trajectory_length
    assert 8 < replace(stopwatch, thinking=bound).measure(prompts, 0.001).answer <= longest


@pytest.mark.parametrize("copies", [1, 3])
def test_what_is_kept_for_the_backward_pass_is_counted_once(copies):
    layer = torch.nn.Linear(8, 8, bias=False)
    counter, x = SavedBytes(layer), torch.ones(5, 8, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(counter.save, lambda saved: saved):
        sum(layer(x) for _ in range(copies))
    assert counter.total == x.nbytes  # the layer's weight is the model's own
