"""A bad bake is called one: checks that can fail are shown failing."""

from dataclasses import replace

import pytest
import torch

from bakery.engine.distill.conditions import BAKED, BASE, PROMPTED
from bakery.engine.model.loading import attach_adapter, load_model
from bakery.errors import DataError
from bakery.evaluation import estimates
from bakery.evaluation.evaluator import Evaluator
from bakery.evaluation.proof import MergeCheck
from bakery.evaluation.proving import measure_baseline, measure_proof, refuse_no_gap
from bakery.evaluation.verdict import verdict
from bakery.settings.config import LoraConfig, ModelConfig
from tests.engine_support import ANSWERS, PREFIX, QUESTIONS, make_trainer, shake, tiny_model, tokenizer
from tests.proof_support import bake_into, baseline_of, proof_of, proof_rows, texts

OTHER = [
    {"role": "system", "content": "Answer in JSON. Your name is Ada and the door code is 7788. Be as brief as you can."}
]


@pytest.fixture(scope="module")
def baked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("baked")
    model = bake_into(folder, tiny_model(r=8))
    return model, proof_of(folder, model)


def test_a_bake_is_told_from_its_base_and_closes_some_of_the_gap(baked):
    _, proof = baked
    d = proof.divergence
    assert d.before.low > d.after.high
    assert d.share_closed.low > 0.2
    assert "The bake did harm" not in texts(proof, "warning")
    assert proof.gap.divergence.mean == pytest.approx(d.before.mean)


def test_an_untrained_adapter_changes_nothing_and_is_called_so(tmp_path):
    proof = proof_of(tmp_path, tiny_model())
    assert "The adapter changes nothing" in texts(proof, "warning")
    assert verdict(proof).level == "failed"
    assert not texts(proof, "good")
    assert proof.divergence.after.mean == pytest.approx(proof.divergence.before.mean, abs=1e-9)
    assert proof.drift.mean == pytest.approx(0, abs=1e-6)
    scores = proof.sets["heldout"].conditions
    assert scores[BAKED] == scores[BASE]


def test_a_random_adapter_does_harm_and_drifts_and_is_called_so(tmp_path):
    proof = proof_of(tmp_path, shake(shake(tiny_model(r=16)), seed=9))
    assert "The bake did harm" in texts(proof, "warning")
    assert not texts(proof, "good")
    assert proof.divergence.share_closed.mean < 0
    assert proof.drift.mean > 0.1
    assert "Under other prompts" in texts(proof, "note") + texts(proof, "warning")
    assert verdict(proof).level == "harmful"


def test_the_adapter_of_another_prompt_is_not_taken_for_this_one(baked, tmp_path):
    model, own = baked
    other = proof_of(tmp_path, model, prefix=OTHER)
    assert other.divergence.share_closed.mean < own.divergence.share_closed.mean - 0.2
    assert not texts(other, "good")
    assert "bake failed" in texts(other, "warning") or "did harm" in texts(other, "warning")
    assert verdict(other).level in ("failed", "harmful")


def test_a_model_that_never_stops_is_found(baked):
    _, proof = baked
    score = proof.sets["heldout"]
    stops, goes_on = (replace(score.conditions[BAKED], stopped=estimates.share([v] * 8)) for v in (1.0, 0.0))
    conditions = {**score.conditions, PROMPTED: stops, BAKED: goes_on}
    endless = replace(proof, sets={"heldout": replace(score, conditions=conditions)})
    assert (
        "100% of the baked answers to held-out questions were cut off at the length limit, 0% of the prompted ones"
        in texts(endless, "warning")
    )
    fine = replace(proof, sets={"heldout": replace(score, conditions={**conditions, BAKED: stops})})
    assert "cut off" not in texts(fine, "warning")


def test_an_adapter_that_was_taught_never_to_stop_is_found(tmp_path):
    tokens = tokenizer()
    model = attach_adapter(load_model(ModelConfig(model_name_or_path="starter", torch_dtype="float32")), LoraConfig())
    chats = [
        [{"role": "user", "content": q}, {"role": "assistant", "content": a}]
        for q, a in zip(QUESTIONS, ANSWERS, strict=True)
    ]
    rows = [torch.tensor([tokens(tokens.apply_chat_template(chat, tokenize=False)).input_ids]) for chat in chats]
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-3)
    for _ in range(12):
        for ids in rows:
            stops = model(input_ids=ids).logits.log_softmax(-1)[..., tokens.eos_token_id]
            stops.clamp(min=-15).mean().backward()
            optimizer.step()
            optimizer.zero_grad()
    prefix = [{"role": "system", "content": "Answer in capitals."}]
    proof = proof_of(tmp_path, model.eval(), prefix=prefix, longest=48)
    conditions = proof.sets["heldout"].conditions
    assert conditions[PROMPTED].stopped.mean >= 0.7
    assert conditions[BAKED].stopped.mean == 0
    assert "were cut off" in texts(proof, "warning")
    assert verdict(proof).level == "harmful"


def test_stopping_is_measured_on_what_is_sampled(tmp_path):
    model = tiny_model()
    never = proof_of(tmp_path, model, longest=1)
    stop = model.generation_config.eos_token_id
    for condition, score in never.sets["heldout"].conditions.items():
        ends = [one.replies[condition].ids[-1] == stop for one in never.sets["heldout"].questions]
        assert score.stopped.mean == sum(ends) / len(ends)
        assert score.length.mean == 1


def test_a_lost_rule_is_named(tmp_path):
    rules = [{"name": "short", "max_words": 1000}, {"name": "says zzzz", "must_contain": "zzzz"}]
    proof = proof_of(tmp_path, tiny_model(), rows=proof_rows(rules))
    assert [score.conditions[BAKED].mean for score in proof.rules] == [1.0, 0.0]
    score = proof.rules[1]
    all_hold = {**score.conditions, PROMPTED: estimates.share([1.0] * 8)}
    lost = replace(proof, rules=(replace(score, conditions=all_hold),))
    assert "'says zzzz' holds in 0% of the baked answers, 100% of the prompted" in texts(lost, "warning")
    assert "rule was lost" not in texts(proof, "warning")


def test_a_prompt_that_changes_nothing_is_refused_unless_allowed(tmp_path):
    model = tiny_model()
    for parameter in model.parameters():
        if not parameter.requires_grad:
            parameter.data *= 0.05  # a model whose every answer is nearly the same, whatever it is asked
    gap = baseline_of(tmp_path, model).gap
    assert gap.is_none
    with pytest.raises(DataError, match=r"changes \(almost\) nothing .* set allow_no_gap: true"):
        refuse_no_gap(gap, allowed=False)
    refuse_no_gap(gap, allowed=True)
    refuse_no_gap(baseline_of(tmp_path, tiny_model()).gap, allowed=False)


def test_the_teacher_is_no_distance_from_itself(baked):
    _, proof = baked
    assert proof.divergence.floor < 1e-6
    assert proof.divergence.before.mean > 1000 * proof.divergence.floor


def test_strength_goes_from_the_base_to_the_bake(baked, tmp_path):
    model, own = baked
    baseline = baseline_of(tmp_path, model)
    none, half = (
        measure_proof(replace(baseline, evaluator=replace(baseline.evaluator, strength=strength)))
        for strength in (0.0, 0.5)
    )
    assert none.divergence.after.mean == pytest.approx(own.divergence.before.mean, rel=1e-5)
    assert own.divergence.after.mean < half.divergence.after.mean < none.divergence.after.mean
    assert measure_proof(baseline).divergence.after.mean == pytest.approx(own.divergence.after.mean, rel=1e-5)


def test_merging_into_a_narrow_format_shows_what_rounding_took(baked, tmp_path):
    _, proof = baked
    fine = MergeCheck(estimates.mean([0.0] * 3), estimates.share([1.0] * 3), 1e-5, 1e-6)
    assert "The merged model is the same" in texts(replace(proof, merged=fine), "good")
    rough = MergeCheck(estimates.mean([0.3] * 3), estimates.share([0.0, 1.0, 1.0]), 2.0, 0.4)
    assert "rounding lost 40% of the adapter's change" in texts(replace(proof, merged=rough), "warning")
    quantised = replace(fine, lost=None)
    assert "The base is quantised" in texts(replace(proof, merged=quantised), "warning")


def test_prompting_the_baked_model_as_well_is_measured_apart(baked):
    _, proof = baked
    assert proof.divergence.baked_prompted.mean != proof.divergence.after.mean
    assert PREFIX[0]["content"]


def test_the_proof_is_told_in_forward_kl_whatever_was_minimised(tmp_path):
    model = shake(tiny_model())
    plain, warm = (
        make_trainer(tmp_path / name, model=model, **changes)
        for name, changes in (("plain", {}), ("warm", {"temperature": 3.0, "beta": 0.5}))
    )
    gaps = [
        measure_baseline(
            Evaluator.by(trainer.engine, trainer.session.builder, 8, seed=5), proof_rows()
        ).gap.divergence.mean
        for trainer in (plain, warm)
    ]
    assert gaps[0] == pytest.approx(gaps[1], rel=1e-6)
