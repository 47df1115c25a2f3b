"""The sampler protocol: a stream run to its end is the sample, and progress counts every trajectory once."""

from bakery.engine.distill.samplers.sampler import (
    SampledToken,
    Sampler,
    SamplingPrompt,
    SamplingSettings,
    Trajectory,
    collect,
)
from bakery.progress import NO_PROGRESS, ProgressCallback

SETTINGS = SamplingSettings(stop_ids=frozenset({0}), max_new_tokens=4)


class Counting:
    """Answers a prompt of n tokens by counting down from n: another sampler than the model itself."""

    identity = "counting"

    def stream(self, prompts, settings):
        trajectories = []
        for prompt, asked in enumerate(prompts):
            ids = tuple(reversed(range(len(asked.ids))))[: settings.max_new_tokens]
            for number, token in enumerate(ids):
                yield SampledToken(prompt, 0, token, last=number == len(ids) - 1)
            trajectories.append(Trajectory(prompt, 0, ids, stopped=ids[-1] in settings.stop_ids))
        return trajectories

    def sample(self, prompts, settings, on_progress=NO_PROGRESS):
        return collect(self.stream(prompts, settings), on_progress)


class Counts(ProgressCallback):
    def __init__(self):
        self.calls = []

    def __call__(self, amount, tokens=0, *, reused=False):
        self.calls.append((amount, tokens))


def test_any_class_with_the_three_members_is_a_sampler():
    assert isinstance(Counting(), Sampler)
    assert not isinstance(object(), Sampler)


def test_collecting_a_stream_returns_its_trajectories_and_reports_each_once_with_its_tokens():
    prompts, counts = [SamplingPrompt([7] * 3), SamplingPrompt([7] * 6)], Counts()
    trajectories = Counting().sample(prompts, SETTINGS, counts)
    assert [trajectory.ids for trajectory in trajectories] == [(2, 1, 0), (5, 4, 3, 2)]
    assert [trajectory.stopped for trajectory in trajectories] == [True, False]
    assert counts.calls == [(1, 3), (1, 4)]
