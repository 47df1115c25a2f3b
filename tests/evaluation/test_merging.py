"""A merged model is compared with its adapter, and the merge is undone exactly."""

import torch

from bakery.evaluation.proving import measure_proof
from tests.engine_support import tiny_model
from tests.proof_support import baseline_of


def test_a_merged_model_is_compared_and_taken_apart_again(tmp_path):
    model = tiny_model(trained=True)
    baseline = baseline_of(tmp_path, model)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    merge = measure_proof(baseline, merged=True).merged
    assert merge.largest_difference < 1e-3
    assert merge.agreement.mean == 1.0
    assert merge.lost < 1e-4
    assert all((parameter == before[name]).all() for name, parameter in model.named_parameters())


def test_merging_into_half_precision_loses_something_and_is_undone_exactly(tmp_path):
    model = tiny_model(torch.bfloat16, trained=True)
    base = model.get_base_model().model.layers[0].self_attn.q_proj.get_base_layer()
    before = base.weight.clone()
    merge = measure_proof(baseline_of(tmp_path, model), merged=True).merged
    assert 1e-4 < merge.lost < 1
    assert merge.largest_difference > 1e-3
    assert torch.equal(base.weight, before)
