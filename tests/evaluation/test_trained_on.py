"""What an adapter was trained on, told by its run folder, and not known where that does not tell."""

import json
from pathlib import Path

import pytest

from bakery.evaluation.trained_on import TrainedOn, context_of, trained_on
from bakery.rows.bake_data import load_bake_data
from bakery.rows.conversations import conversations
from bakery.settings.config import ContextConfig, DataConfig
from bakery.settings.documents import dump_yaml

SYSTEM = [{"role": "system", "content": "You are a pirate."}]
BASIC = {"relative_to_file": True, "output_dir": ".", "use_cpu": True, "validation_share": 0}
ASKED = ["Who are you?", "what   is IT?", "Is it new?"]


def folder_of(folder: Path, **settings) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "bakery.yaml").write_text(dump_yaml({**BASIC, **settings}))
    return folder


def lines(path: Path, rows) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def asked(folder: Path) -> set[str] | None:
    names = trained_on(folder).asked(conversations(ASKED, "asked"))
    return None if names is None else set(names)


def test_rows_in_the_settings_count_whatever_their_case_and_white_space(tmp_path):
    folder = folder_of(tmp_path, prefix_messages=SYSTEM, training_prompts=["who ARE you?", "What is it?"])
    assert asked(folder) == {"asked row 1", "asked row 2"}
    assert trained_on(folder).context == "You are a pirate."


def test_a_file_of_rows_counts_by_what_the_student_sees_whatever_the_teacher_saw(tmp_path):
    rows = [{"messages": [{"role": "user", "content": ASKED[0]}], "prefix_messages": SYSTEM}]
    lines(tmp_path / "inputs" / "dataset.jsonl", rows)
    folder = folder_of(tmp_path, dataset="./inputs/dataset.jsonl")
    assert asked(folder) == {"asked row 1"}
    assert trained_on(folder).context == "You are a pirate."


def test_what_was_taken_out_of_training_does_not_count(tmp_path):
    prompts = [f"Number {number}?" for number in range(40)]
    folder = folder_of(tmp_path, prefix_messages=SYSTEM, training_prompts=prompts, validation_share=0.25)
    told = trained_on(folder).asked(conversations(prompts, "asked"))
    assert len(told) == 30


def test_what_the_model_wrote_counts_and_what_it_held_out_does_not(tmp_path):
    folder = folder_of(tmp_path, prefix_messages=SYSTEM)
    row = [{"messages": [{"role": "user", "content": text}], "use": "learning"} for text in ASKED]
    lines(folder / "prompts.jsonl", row[:1])
    lines(folder / "heldout.jsonl", [{**row[1], "use": "proof"}, {**row[2], "use": "stopping"}])
    anchor = {"messages": [*SYSTEM, {"role": "user", "content": ASKED[2]}], "use": "learning"}
    lines(folder / "anchors.jsonl", [anchor])
    assert asked(folder) == {"asked row 1"}
    others = conversations([{"messages": anchor["messages"]}, {"messages": row[2]["messages"]}], "other")
    assert trained_on(folder).anchored(others) == {"other row 1"}


@pytest.mark.parametrize("given", [{"training_prompts": ASKED[:1]}, {}])
def test_without_its_prompt_a_folder_tells_its_rows_all_the_same(tmp_path, given):
    folder = folder_of(tmp_path, keep_prompt=False, **given)
    lines(folder / "prompts.jsonl", [{"messages": [{"role": "user", "content": ASKED[0]}], "use": "given"}])
    assert asked(folder) == {"asked row 1"}
    assert trained_on(folder).context is None


def test_what_a_folder_does_not_tell_is_not_known(tmp_path):
    assert trained_on(tmp_path) == TrainedOn(), "a plain adapter"
    assert asked(folder_of(tmp_path / "gone", prefix_messages=SYSTEM, dataset="./inputs/gone.jsonl")) is None
    left_out = folder_of(tmp_path / "left_out", keep_prompt=False)
    assert asked(left_out) is None, "its rows had prompts of their own and are left out with them"
    (tmp_path / "bakery.yaml").write_text("not: [settings")
    assert trained_on(tmp_path) == TrainedOn()


def test_contexts_are_equal_where_all_that_is_baked_is(tmp_path):
    document = tmp_path / "facts.md"
    document.write_text("# Facts\n\nThe sea is wide.\n")
    of_document = load_bake_data(ContextConfig(), DataConfig(corpus_file=str(document)))
    assert context_of(of_document).strip() == "# Facts\n\nThe sea is wide."
    rows = [{"prompt": "a?", "prefix_messages": SYSTEM}, {"prompt": "b?", "prefix_messages": SYSTEM}]
    lines(tmp_path / "rows.jsonl", rows)
    of_rows = load_bake_data(ContextConfig(), DataConfig(dataset=str(tmp_path / "rows.jsonl")))
    of_prompt = load_bake_data(ContextConfig(prefix_messages=SYSTEM), DataConfig(training_prompts=["a?"]))
    assert context_of(of_rows) == context_of(of_prompt) == "You are a pirate."
