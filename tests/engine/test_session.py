"""A session asks a model without a trainer, writes nothing, and its teacher may be any condition."""

from dataclasses import replace

import pytest
import torch

from bakery.chat.views import view_builder
from bakery.engine.distill.conditions import BAKED, BASE, PROMPTED, Condition
from bakery.engine.session import open_session, session_of
from bakery.errors import ModelError
from bakery.rows.conversations import conversations
from bakery.rows.datasets import create_dataset
from bakery.settings.config import ContextConfig, LoraConfig
from tests.engine_support import ANSWERS, PREFIX, QUESTIONS, SYSTEM, settings, tiny_base, tiny_model, tokenizer


def _pairs(session):
    rows = conversations(create_dataset(QUESTIONS, ANSWERS), "rows")
    return [pair for row in rows for pair in session.builder.views(row)]


def test_a_session_gives_model_tokenizer_views_and_engine_and_writes_nothing(saved_base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    context = ContextConfig(prefix_messages=PREFIX)
    session = open_session(saved_base, adapter=LoraConfig(r=2), context=context, args=settings(tmp_path / "out"))
    pairs = _pairs(session)
    engine = session.engine(pairs)
    teacher = engine.teacher(pairs)
    assert engine.compare(PROMPTED, pairs, teacher).divergence.abs().max() < 3e-6
    assert engine.compare(BASE, pairs, teacher).divergence.max() > 0.01
    assert session.tokenizer.decode(pairs[0].teacher_ids).count(SYSTEM) == 1
    assert session.student == BAKED
    assert list(tmp_path.iterdir()) == []


def test_a_trained_adapter_is_loaded_from_its_folder(saved_base, tmp_path):
    trained = tiny_model(trained=True)
    trained.save_pretrained(tmp_path / "adapter")
    session = open_session(
        saved_base, adapter=tmp_path / "adapter", prefix_messages=PREFIX, args=settings(tmp_path / "out")
    )
    ids = torch.tensor([[5, 9, 3]])
    with torch.no_grad():
        torch.testing.assert_close(session.model(ids).logits, trained(ids).logits)
    with pytest.raises(ModelError, match="is not an adapter"):
        open_session(saved_base, adapter=tmp_path, args=settings(tmp_path / "out"))


@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft uses names that transformers has renamed
def test_an_adapter_of_any_name_is_the_student(tmp_path):
    from peft import LoraConfig as PeftLoraConfig
    from peft import get_peft_model

    model = get_peft_model(tiny_base(), PeftLoraConfig(target_modules="all-linear"), adapter_name="mine")
    builder = view_builder(tokenizer(), ContextConfig(), PREFIX)
    session = session_of(model, tokenizer(), builder, settings(tmp_path))
    assert session.student == Condition((("mine", 1.0),))
    pairs = _pairs(session)
    engine = session.engine(pairs)
    assert engine.compare(engine.student_condition, pairs, engine.teacher(pairs)).divergence.max() > 0.01


def test_another_teacher_has_another_identity(tmp_path):
    session = session_of(
        tiny_model(trained=True), tokenizer(), view_builder(tokenizer(), ContextConfig(), PREFIX), settings(tmp_path)
    )
    prompted_adapter = replace(session, teacher=replace(BAKED, prompted=True))
    assert len({session.identity, prompted_adapter.identity, replace(session, teacher=BAKED.at(0.5)).identity}) == 3
    pairs = _pairs(session)
    engine = prompted_adapter.engine(pairs)
    assert engine.compare(PROMPTED, pairs, engine.teacher(pairs)).divergence.max() > 0.01
    assert engine.compare(replace(BAKED, prompted=True), pairs, engine.teacher(pairs)).divergence.abs().max() < 5e-6
