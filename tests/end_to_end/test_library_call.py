"""The library as its interface is written: the call verbatim, and what people hand it in its place."""

import copy
import warnings

import datasets
import pytest
import torch
from transformers import AutoModelForCausalLM

from bakery import (
    BakeryConfig,
    ContextBakingTrainer,
    ContextConfig,
    LoraConfig,
    create_conversational_dataset,
    create_dataset,
    prompt_baking_collator,
)
from bakery.errors import ConfigError, DataError, TemplateError
from tests.engine_support import (
    ANSWERS,
    PREFIX,
    QUESTIONS,
    STARTER,
    adapter_weights,
    logged,
    shake,
    tiny_model,
    tokenizer,
)

SHORT = {"use_cpu": True, "max_steps": 1, "logging_steps": 1, "disable_tqdm": True, "trajectory_length": 4,
         "num_trajectories": 1}  # fmt: skip


def test_the_call_of_the_interface(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    peft_model = tiny_model()
    before = adapter_weights(peft_model)
    trainer = ContextBakingTrainer(
        model=peft_model,
        args=BakeryConfig(output_dir="./outputs", num_train_epochs=3, learning_rate=1e-4),
        context_config=ContextConfig(prefix_messages=[{"role": "system", "content": "You are helpful."}]),
        train_dataset=create_dataset(["What is AI?", "Explain gravity."], ["AI is...", "Gravity is..."]),
        processing_class=tokenizer(),
        data_collator=prompt_baking_collator,
    )
    trainer.train()
    assert trainer.state.global_step == 3
    assert any(not torch.equal(weight, before[name]) for name, weight in adapter_weights(peft_model).items())


def _bake(tmp_path, model=None, rows=None, *, processing_class=None, context=None, **more):
    trainer = ContextBakingTrainer(
        model=tiny_model() if model is None else model,
        args=BakeryConfig(output_dir=str(tmp_path), **SHORT),
        context_config=context or ContextConfig(prefix_messages=PREFIX),
        train_dataset=create_dataset(QUESTIONS[:2], ANSWERS[:2]) if rows is None else rows,
        processing_class=processing_class or tokenizer(),
        **more,
    )
    trainer.train()
    return trainer


MESSAGES = [{"role": "user", "content": QUESTIONS[0]}, {"role": "assistant", "content": ANSWERS[0]}]


@pytest.mark.parametrize(
    "rows",
    [
        create_dataset(QUESTIONS[:1], ANSWERS[:1]),
        create_conversational_dataset([MESSAGES]),
        [{"prompt": QUESTIONS[0], "response": ANSWERS[0]}],
        [{"messages": MESSAGES}],
        datasets.Dataset.from_list([{"question": QUESTIONS[0], "answer": ANSWERS[0]}]),
        [{"conversations": [{"from": "human", "value": QUESTIONS[0]}, {"from": "gpt", "value": ANSWERS[0]}]}],
    ],
    ids=["create_dataset", "create_conversational_dataset", "dicts", "messages", "datasets", "sharegpt"],
)
def test_every_shape_of_rows_gives_the_same_loss(tmp_path, rows):
    assert logged(_bake(tmp_path, rows=rows)) == pytest.approx(logged(_bake(tmp_path, rows=[{"messages": MESSAGES}])))


def test_without_answers_the_teacher_writes_them(tmp_path):
    trainer = _bake(tmp_path, rows=create_dataset(QUESTIONS[:3]))
    assert len(trainer.trajectories) == 3
    assert len(trainer.train_dataset) == 3


def test_a_model_given_by_name_brings_its_tokenizer_and_gets_an_adapter(tmp_path):
    trainer = ContextBakingTrainer(
        model=str(STARTER),
        args=BakeryConfig(output_dir=str(tmp_path), **SHORT),
        context_config=ContextConfig(prefix_messages=PREFIX),
        train_dataset=create_dataset(QUESTIONS[:2], ANSWERS[:2]),
        lora_config=LoraConfig(r=3),
    )
    trainer.train()
    assert trainer.model.peft_config["default"].r == 3
    assert trainer.processing_class.chat_template is not None


def test_a_base_model_gets_an_adapter(tmp_path):
    base = AutoModelForCausalLM.from_pretrained(STARTER, dtype=torch.float32)
    assert _bake(tmp_path, model=base).model.peft_config["default"].r == LoraConfig().r


def test_a_model_that_already_carries_an_adapter_keeps_it_and_goes_on(tmp_path):
    model = shake(tiny_model())
    before = adapter_weights(model)
    trainer = _bake(tmp_path, model=model)
    assert trainer.model is model
    after = adapter_weights(model)
    assert before.keys() == after.keys()
    assert max(float((after[name] - before[name]).abs().max()) for name in before) < 0.1


def test_a_tokenizer_without_a_pad_token(tmp_path):
    bare = copy.deepcopy(tokenizer())
    bare.pad_token = None
    assert logged(_bake(tmp_path, processing_class=bare)) == logged(_bake(tmp_path))


def test_a_tokenizer_without_a_chat_template_is_told_what_to_do(tmp_path):
    bare = copy.deepcopy(tokenizer())
    bare.chat_template = None
    with pytest.raises(TemplateError, match="chat_template"):
        _bake(tmp_path, processing_class=bare)


def test_no_tokenizer_no_rows_and_nothing_to_bake_are_refused(tmp_path):
    args = BakeryConfig(output_dir=str(tmp_path), **SHORT)
    context = ContextConfig(prefix_messages=PREFIX)
    rows = create_dataset(QUESTIONS, ANSWERS)
    with pytest.raises(DataError, match="processing_class"):
        ContextBakingTrainer(model=tiny_model(), args=args, context_config=context, train_dataset=rows)
    with pytest.raises(DataError, match="train_dataset"):
        ContextBakingTrainer(model=tiny_model(), args=args, context_config=context, processing_class=tokenizer())
    with pytest.raises(ConfigError, match="nothing to bake"):
        ContextBakingTrainer(model=tiny_model(), args=args, train_dataset=rows, processing_class=tokenizer())


def test_the_older_name_works_and_says_so_once(tmp_path):
    from bakery import PromptBakingTrainer

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer = PromptBakingTrainer(
            model=tiny_model(),
            args=BakeryConfig(output_dir=str(tmp_path), **SHORT),
            context_config=ContextConfig(prefix_messages=PREFIX),
            train_dataset=create_dataset(QUESTIONS[:2], ANSWERS[:2]),
            processing_class=tokenizer(),
        )
    assert isinstance(trainer, ContextBakingTrainer)
    assert [str(w.message) for w in caught if issubclass(w.category, DeprecationWarning)] == [
        "PromptBakingTrainer is the older name of ContextBakingTrainer; use that"
    ]
