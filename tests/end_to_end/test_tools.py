"""A bake with tools: sampling, proof and what is saved show them to those whose they are."""

import json
from copy import deepcopy

from bakery import ContextBakingTrainer, ContextConfig
from bakery.evaluation.evaluator import Evaluator
from bakery.evaluation.proof_rows import proof_rows
from bakery.exporting.asking import ask_baked, check_text
from bakery.library import rows_of
from bakery.rows.conversations import load_rows
from bakery.rows.tools import split_tools, with_tools
from bakery.settings.documents import read_document
from tests.engine_support import PREFIX, QUESTIONS, settings, tiny_model, tokenizer
from tests.templates.tool_shapes import TIDE, WIND

LISTS = "{%- for tool in tools or [] %}{{ tool.function.name + ' ' }}{% endfor -%}\n"


def test_the_tools_of_prefix_and_rows_are_in_prompts_proof_and_saved_settings(tmp_path):
    lists = deepcopy(tokenizer())
    lists.chat_template = LISTS + lists.chat_template
    rows = [{"messages": [{"role": "user", "content": text}], "tools": [WIND]} for text in QUESTIONS[:3]]
    trainer = ContextBakingTrainer(
        model=tiny_model(),
        args=settings(tmp_path, num_trajectories=1, max_steps=1, proof="quick"),
        context_config=ContextConfig(prefix_messages=with_tools(PREFIX, [TIDE])),
        train_dataset=rows[:2],
        eval_dataset=rows[2:],
        processing_class=lists,
    )
    trainer.train()
    assert len(trainer.trajectories) == 2
    for pair in [answer.pair for _, answers in trainer.trajectories for answer in answers]:
        teacher, student = lists.decode(pair.teacher_ids), lists.decode(pair.student_ids)
        assert teacher.startswith("lookup_tide measure_wind ")
        assert student.startswith("measure_wind ")
    asked = proof_rows(rows_of(trainer))
    assert [row.tools for row in [*asked.measured, *asked.sets["validation"]]] == [(WIND,)] * 2
    assert trainer.prove().divergence
    evaluator = Evaluator.for_bake(trainer.engine, trainer.session.builder, trainer.args)
    baked = ask_baked(evaluator, asked.measured)
    assert check_text(baked, lists, allowed=False).same_tokens == 1, "a client of an export sends the row's tools"
    trainer.save_model()
    assert split_tools(read_document(tmp_path / "bakery.yaml").value["prefix_messages"]) == (PREFIX, (TIDE,))
    assert [row.tools for row in load_rows(str(tmp_path / "inputs" / "dataset.jsonl"))] == [(WIND,)] * 2
    assert json.loads((tmp_path / "inputs" / "eval_dataset.jsonl").read_text())["tools"] == json.dumps([WIND])
