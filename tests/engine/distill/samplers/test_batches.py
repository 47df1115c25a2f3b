"""Batches of prompts: each prompt once, behind tokens that it begins with, within the token budget."""

from hypothesis import given
from hypothesis import strategies as st

from bakery.engine.distill.samplers.batches import behind_prefixes, of_one_length
from bakery.engine.distill.samplers.sampler import SamplingPrompt, SamplingSettings

_BEGINNINGS = {"": [], "a": [1] * 20, "b": [2] * 15}

rows = st.lists(
    st.tuples(st.sampled_from(sorted(_BEGINNINGS)), st.lists(st.integers(3, 9), min_size=1, max_size=12)),
    min_size=1,
    max_size=12,
)


@given(rows=rows, per_prompt=st.integers(1, 3), budget=st.integers(1, 400))
def test_every_prompt_is_in_one_batch_which_holds_no_more_than_the_budget(rows, per_prompt, budget):
    prompts = [SamplingPrompt([*_BEGINNINGS[key], *own], key) for key, own in rows]
    settings = SamplingSettings(frozenset(), max_new_tokens=8, per_prompt=per_prompt)
    batches = list(behind_prefixes(prompts, settings, frozenset(range(len(prompts))), budget))
    rows_of_all = [row for batch in batches for row in batch.rows(per_prompt)]
    assert sorted(rows_of_all) == [(prompt, number) for prompt in range(len(rows)) for number in range(per_prompt)]
    for batch in batches:
        own = []
        for part in batch.parts:
            for prompt in part.prompts:
                ids = prompts[prompt].ids
                assert tuple(ids[: len(part.shared)]) == part.shared
                assert len(part.shared) < len(ids)
                own.append(len(ids) - len(part.shared))
        prefixes = sum(len(part.shared) for part in batch.parts) - max(len(part.shared) for part in batch.parts)
        assert len(own) == 1 or len(own) * per_prompt * (max(own) + 8) + prefixes <= budget


def test_a_process_decodes_only_its_own_prompts():
    prompts = [SamplingPrompt([1, 2, number]) for number in range(3, 9)]
    settings = SamplingSettings(frozenset(), max_new_tokens=4)
    for plan in (behind_prefixes, of_one_length):
        (batch,) = plan(prompts, settings, frozenset({1, 4}), 1000)
        assert batch.rows(1) == [(1, 0), (4, 0)]


def test_without_shortcuts_only_prompts_of_one_length_are_together():
    prompts = [SamplingPrompt([1] * length) for length in (3, 5, 3, 5, 5)]
    settings = SamplingSettings(frozenset(), max_new_tokens=5)
    plan = of_one_length(prompts, settings, frozenset(range(5)), 20)
    assert [batch.rows(1) for batch in plan] == [[(0, 0), (2, 0)], [(1, 0), (3, 0)], [(4, 0)]]
