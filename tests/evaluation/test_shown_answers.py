"""Examples: the tokens of a reply are its text, each with the divergence that a comparison finds there."""

import pytest

from bakery.engine.distill.conditions import BAKED, BAKED_PROMPTED, BASE, PROMPTED
from bakery.evaluation.shown_answers import examples, token_texts
from tests.engine_support import tiny_model, tokenizer
from tests.proof_support import baseline_of, proof_of


@pytest.mark.parametrize("text", ["Ahoy! The wifi password is coral42.", "naïve 日本 🙂🙂 ok", "  two  spaces\nline"])
def test_pieces_of_an_answer_are_its_text(text):
    ids = tokenizer()(text, add_special_tokens=False)["input_ids"]
    pieces = token_texts(tokenizer(), [*ids, tokenizer().eos_token_id])
    assert len(pieces) == len(ids) + 1
    assert "".join(pieces) == text
    assert pieces[-1] == ""


def test_every_token_of_a_reply_has_its_divergence(tmp_path):
    model = tiny_model(trained=True)
    baseline, proof = baseline_of(tmp_path, model), proof_of(tmp_path, model)
    assert len(proof.examples) == 8
    for example in proof.examples:
        for condition in (BASE, PROMPTED, BAKED):
            texts, _ = zip(*example.tokens[condition], strict=True)
            assert "".join(texts).strip() == example.answered.replies[condition].text
        assert BAKED_PROMPTED not in example.tokens
    evaluator, prompts = baseline.evaluator, baseline.sets["heldout"].prompts
    replies = [example.answered.replies[PROMPTED].ids for example in proof.examples]
    rows = evaluator.with_teacher([prompt.with_answer(ids) for prompt, ids in zip(prompts, replies, strict=True)])
    comparison = evaluator.compare(BAKED, rows)
    for example, nats in zip(proof.examples, comparison.by_row(comparison.divergence), strict=True):
        assert [value for _, value in example.tokens[PROMPTED]] == pytest.approx(nats), "the baked model's, along it"


def test_examples_are_spread_evenly_over_all_questions(tmp_path):
    baseline, proof = (make(tmp_path, tiny_model()) for make in (baseline_of, proof_of))
    questions, prompts = proof.sets["heldout"].questions * 3, baseline.sets["heldout"].prompts * 3
    shown = examples(baseline.evaluator, prompts, questions)
    assert [example.answered for example in shown] == [questions[number] for number in range(0, 24, 2)]
