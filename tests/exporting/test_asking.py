"""The exported model is asked by its own means; what it says otherwise is counted, and another model is refused."""

from dataclasses import replace

import pytest
import torch

from bakery.engine.distill.conditions import BAKED
from bakery.engine.model.structure import stop_ids
from bakery.errors import ConfigError, ModelError
from bakery.evaluate import open_to_prove
from bakery.exporting.asking import TransformersModel, ask_baked, at_full_precision, check_answers, check_text
from tests.engine_support import tiny_base, tokenizer
from tests.exporting.support import QUESTIONS, QUIET, settings_of


@pytest.fixture(scope="module")
def asked(run_folder):
    """The model of the run and what it said at half its strength."""
    evaluator, rows = open_to_prove(settings_of(run_folder), run_folder, QUIET)
    return evaluator, ask_baked(at_full_precision(evaluator, 0.5), rows.measured)


def exported(evaluator, model=None):
    inner = model or evaluator.engine.model
    return TransformersModel(inner, stop_ids(inner, tokenizer()), evaluator.max_new_tokens)


def test_the_baked_model_is_asked_at_its_strength(asked):
    evaluator, baked = asked
    assert [answer.messages for answer in baked.answers] == [({"role": "user", "content": q},) for q in QUESTIONS]
    prompts = [evaluator.builder.encoder.tokenizer.decode(list(answer.ids)) for answer in baked.answers]
    assert all("pirate" not in prompt for prompt in prompts)
    whole = evaluator.replies(BAKED, [])
    assert whole == []
    assert all(len(answer.log_probabilities) == len(answer.reply.ids) for answer in baked.answers)


def test_an_equal_model_is_equal_and_another_strength_is_not(asked):
    evaluator, baked = asked
    for layer in (module for module in evaluator.engine.model.modules() if hasattr(module, "set_scale")):
        layer.set_scale("default", 0.5)
    check = check_answers(exported(evaluator), tokenizer(), baked, exact=True)
    assert (check.questions, check.equal_by_ids, check.equal_as_text) == (4, 4, 4)
    assert check.largest_difference < 1e-3
    for layer in (module for module in evaluator.engine.model.modules() if hasattr(module, "set_scale")):
        layer.set_scale("default", 1.0)
    with pytest.raises(ModelError, match=r"not the baked model: .* of 4 answers are equal"):
        check_answers(exported(evaluator), tokenizer(), baked, exact=True)
    check = check_answers(exported(evaluator), tokenizer(), baked, exact=False)
    assert check.equal_by_ids < 4
    assert check.largest_difference > 0.1


def test_text_that_becomes_other_tokens_is_refused_unless_it_is_allowed(asked):
    _, baked = asked
    assert check_text(baked, tokenizer(), allowed=False).same_tokens == 4
    other = type(tokenizer()).from_pretrained(tokenizer().name_or_path)
    other.chat_template = "{% if messages[0]['content'] != 'Why not?' %} {% endif %}" + other.chat_template
    with pytest.raises(ConfigError, match=r"3 of 4 questions .*'Who is there\?'.*--allow_other_tokens"):
        check_text(baked, other, allowed=False)
    text = check_text(baked, other, allowed=True)
    assert (text.questions, text.same_tokens) == (4, 1)


def test_settings_of_sampling_do_not_count(asked):
    """A repetition penalty or a temperature of the model's own would make other answers."""
    evaluator, baked = asked
    model = tiny_base()
    plain = exported(evaluator, model).answer(baked.answers[0].ids)
    model.generation_config.update(do_sample=True, temperature=5.0, repetition_penalty=3.0, max_length=3)
    before = model.generation_config
    assert exported(evaluator, model).answer(baked.answers[0].ids) == plain
    assert model.generation_config is before


def test_an_answer_ends_with_the_end_of_turn_or_at_its_longest(asked):
    evaluator, baked = asked
    model = exported(evaluator, tiny_base())
    ids = baked.answers[0].ids
    answer = model.answer(ids)
    assert len(answer) == evaluator.max_new_tokens
    stopped = replace(model, stops=frozenset({answer[2]})).answer(ids)
    assert stopped == answer[: answer.index(answer[2]) + 1]


def test_log_probabilities_are_those_of_the_tokens(asked):
    evaluator, _ = asked
    model = exported(evaluator, tiny_base())
    ids, answer = (1, 5, 9), (30, 4)
    whole = torch.log_softmax(model.network(torch.tensor([[*ids, *answer]])).logits[0], -1)
    wanted = torch.stack([whole[2, 30], whole[3, 4]])
    assert torch.allclose(model.log_probabilities(ids, answer), wanted, atol=1e-5)
