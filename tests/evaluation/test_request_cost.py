"""What a request saves: tokens, seconds, bytes, and the requests until that outweighs the bake."""

import pytest

from bakery.evaluation.request_cost import RequestCost, measure_request_cost
from tests.engine_support import make_trainer, tiny_model
from tests.proof_support import baseline_of

BYTES_A_TOKEN = 2 * 2 * 2 * 8 * 4
"""Layers, keys and values, heads, head size, bytes of a float32: those of `tiny_model`."""


def test_a_request_saves_the_prompt_and_its_keys_and_values(tmp_path):
    model = tiny_model(trained=True)
    weights = {name: parameter.clone() for name, parameter in model.named_parameters()}
    prompts = baseline_of(tmp_path, model).sets["heldout"].prompts
    cost = measure_request_cost(make_trainer(tmp_path, model=model).engine, prompts)
    saved = {len(prompt.teacher_ids) - len(prompt.student_ids) for prompt in prompts}
    assert {cost.saved_tokens} == saved
    assert cost.saved_bytes == cost.saved_tokens * BYTES_A_TOKEN
    assert cost.prompted_seconds > 0
    assert cost.baked_seconds > 0
    assert cost.merged_seconds > 0
    assert all(parameter.equal(weights[name]) for name, parameter in model.named_parameters())


def test_a_merged_adapter_pays_off_by_its_own_seconds():
    assert RequestCost(10, 1.0, 0.5, 0.2, None).break_even(8.0, merged=True) == 10


@pytest.mark.parametrize(
    ("prompted", "baked", "requests"), [(1.0, 0.5, 20), (1.0, 0.3, 15), (0.5, 0.5, None), (0.4, 0.5, None)]
)
def test_the_bake_breaks_even_once_the_requests_have_saved_its_seconds(prompted, baked, requests):
    assert RequestCost(10, prompted, baked, 0.0, None).break_even(10.0) == requests
