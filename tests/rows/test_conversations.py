"""Rows of every promised shape become the same conversations; what is not understood is refused, never dropped."""

import csv
import json

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakery.errors import ConfigError, DataError
from bakery.rows.conversations import (
    Conversation,
    check_something_to_bake,
    conversations,
    conversations_from_prompts,
    create_conversational_dataset,
    create_dataset,
    load_bake_data,
    load_dataset,
    load_rows,
    load_scored_rows,
)
from bakery.rows.prefix import load_corpus, load_prefix, load_prefix_messages
from bakery.rows.sources import is_local, read_rows
from bakery.settings.config import ContextConfig, DataConfig


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def system(text):
    return {"role": "system", "content": text}


PROMPTS = ["What is AI?", "Explain gravity, please."]
ANSWERS = ["A field.", 'It "pulls", 9.81\nalways.']
PAIRS = [{"prompt": prompt, "response": answer} for prompt, answer in zip(PROMPTS, ANSWERS, strict=True)]
ASKED = [(user(prompt),) for prompt in PROMPTS]
ANSWERED = [(user(prompt), assistant(answer)) for prompt, answer in zip(PROMPTS, ANSWERS, strict=True)]


def messages(rows):
    return [row.messages for row in rows]


def save(path, rows):
    """Write rows in the format that the name of the file says."""
    if path.suffix == ".json":
        path.write_text(json.dumps(rows), "utf-8")
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    elif path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        datasets.Dataset.from_list(rows).to_parquet(path)
    elif path.name == "saved":
        datasets.Dataset.from_list(rows).save_to_disk(path)
    elif path.name == "saved_splits":
        datasets.DatasetDict({"train": datasets.Dataset.from_list(rows)}).save_to_disk(path)
    else:
        (path / "data").mkdir(parents=True)
        datasets.Dataset.from_list(rows).to_parquet(path / "data" / "train-00000-of-00001.parquet")
    return str(path)


FORMATS = ["rows.json", "rows.jsonl", "rows.csv", "rows.parquet", "folder", "saved", "saved_splits"]


@pytest.fixture(autouse=True)
def hub_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.mark.parametrize("name", FORMATS)
def test_prompts_and_pairs_from_every_kind_of_file(name, tmp_path):
    place = tmp_path / name
    assert messages(load_rows(save(place, PAIRS))) == ANSWERED
    other = tmp_path / "other" / name
    other.parent.mkdir()
    rows = load_rows(save(other, [{"prompt": prompt} for prompt in PROMPTS]))
    assert messages(rows) == ASKED
    assert not any(row.answered for row in rows)
    assert all(row.source.startswith(str(other)) for row in rows)


@pytest.mark.parametrize("name", [name for name in FORMATS if not name.endswith("csv")])
def test_chats_with_prefixes_from_every_kind_of_file(name, tmp_path):
    rows = [
        {"messages": [system("s"), *ANSWERED[0], *ANSWERED[1]], "prefix_messages": [system("p"), user("q")]},
        {"messages": list(ANSWERED[0]), "prefix_messages": None},
        {"messages": list(ANSWERED[1]), "prefix_messages": []},
    ]
    found = load_rows(save(tmp_path / name, rows))
    assert messages(found) == [tuple(row["messages"]) for row in rows]
    assert [row.prefix for row in found] == [(system("p"), user("q")), None, ()]


def test_a_list_of_texts_and_one_object_that_holds_the_list(tmp_path):
    for name, held in (("a.json", PROMPTS), ("b.json", {"prompts": PROMPTS}), ("c.json", {"n": 2, "pairs": PAIRS})):
        (tmp_path / name).write_text(json.dumps(held))
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(prompt) + "\n\n" for prompt in PROMPTS))
    (tmp_path / "e.json").write_text("\ufeff" + json.dumps({"messages": list(ANSWERED[0])}), "utf-8")
    (tmp_path / "f.json").write_text(json.dumps({"prompt": PROMPTS[0], "response": ANSWERS[0]}))
    assert messages(load_rows(str(tmp_path / "a.json"))) == ASKED
    assert messages(load_rows(str(tmp_path / "b.json"))) == ASKED
    assert messages(load_rows(str(tmp_path / "c.json"))) == ANSWERED
    assert messages(load_rows(str(tmp_path / "d.jsonl"))) == ASKED
    assert messages(load_rows(str(tmp_path / "e.json"))) == ANSWERED[:1]
    assert messages(load_rows(str(tmp_path / "f.json"))) == ANSWERED[:1]


@pytest.mark.parametrize("prompt", ["prompt", "user_message", "input", "question", "instruction"])
@pytest.mark.parametrize("response", ["response", "completion", "output", "answer"])
def test_every_pair_of_column_names(prompt, response):
    rows = [{prompt: one["prompt"], response: one["response"], "id": 7} for one in PAIRS]
    assert messages(conversations(rows)) == ANSWERED
    assert messages(conversations([{prompt: one["prompt"]} for one in PAIRS])) == ASKED


def test_prompt_and_completion_as_message_lists():
    rows = [{"prompt": [system("s"), user("a")], "completion": [assistant("b")]}]
    assert messages(conversations(rows)) == [(system("s"), user("a"), assistant("b"))]
    assert messages(conversations([{"prompt": [user("a"), assistant("b"), user("c")]}])) == [
        (user("a"), assistant("b"), user("c"))
    ]
    with pytest.raises(DataError, match="completion: must end with the assistant's message"):
        conversations([{"prompt": [user("a")], "completion": [user("b")]}])


def test_sharegpt_conversations():
    turns = [{"from": "system", "value": "s"}, {"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]
    assert messages(conversations([{"conversations": turns}])) == [(system("s"), user("a"), assistant("b"))]
    assert messages(conversations([{"conversations": [user("a"), assistant("b")]}])) == [(user("a"), assistant("b"))]


def test_multi_turn_rows_are_kept_whole():
    turns = [system("s"), user("a"), assistant("b"), user("c"), assistant("d")]
    assert messages(conversations([{"messages": turns}])) == [tuple(turns)]
    (asked,) = conversations([{"messages": turns[:-1]}])
    assert not asked.answered
    assert asked.messages == tuple(turns[:-1])


def test_tool_calls_reasoning_and_parts_survive_and_nulls_of_tables_do_not():
    turns = [
        {"role": "user", "content": [{"type": "text", "text": "a"}], "tool_calls": None, "name": None},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
        {"role": "tool", "content": "4", "tool_call_id": "1"},
        {"role": "assistant", "content": "b", "reasoning_content": "because"},
    ]
    (row,) = conversations([{"messages": turns}])
    assert row.messages == ({"role": "user", "content": turns[0]["content"]}, *turns[1:])


def test_a_choice_settles_which_column_is_meant():
    rows = [{"instruction": "a", "input": "", "output": "b", "answer": "c"}]
    with pytest.raises(DataError, match="choose with prompt_column: input or instruction"):
        conversations(rows)
    chosen = conversations(rows, prompt_column="instruction", response_column="output")
    assert messages(chosen) == [(user("a"), assistant("b"))]
    chats = [{"messages": [user("a"), assistant("b")], "prompt": "x"}]
    assert messages(conversations(chats, prompt_column="messages")) == [(user("a"), assistant("b"))]
    assert messages(conversations(chats, prompt_column="prompt")) == [(user("x"),)]


def test_a_prompt_column_that_repeats_the_chat_is_no_second_candidate():
    rows = [{"prompt": "a", "prompt_id": "7", "messages": [user("a"), assistant("b")]}]
    assert messages(conversations(rows)) == [(user("a"), assistant("b"))]
    with pytest.raises(DataError, match="messages or prompt"):
        conversations([*rows, {"prompt": "other", "prompt_id": "8", "messages": [user("a"), assistant("b")]}])


def test_prefixes_in_a_csv_are_json(tmp_path):
    rows = [
        {"prompt": "a", "prefix_messages": json.dumps([system("p")])},
        {"prompt": "b", "prefix_messages": ""},
        {"prompt": "c", "prefix_messages": "[]"},
    ]
    found = load_rows(save(tmp_path / "rows.csv", rows))
    assert [row.prefix for row in found] == [(system("p"),), None, ()]


def test_cells_of_a_csv_stay_text(tmp_path):
    found = load_rows(save(tmp_path / "rows.csv", [{"question": "007", "answer": "1e-4"}]))
    assert messages(found) == [(user("007"), assistant("1e-4"))]


@pytest.mark.parametrize(
    ("split", "kept"),
    [
        ("train", range(10)),
        ("train[:3]", range(3)),
        ("train[3:]", range(3, 10)),
        ("train[-2:]", range(8, 10)),
        ("train[10%:30%]", range(1, 3)),
        ("train[2:4]", range(2, 4)),
    ],
)
@pytest.mark.parametrize("name", ["rows.jsonl", "saved", "folder", "saved_splits"])
def test_splits_and_slices(split, kept, name, tmp_path):
    place = save(tmp_path / name, [{"prompt": str(number)} for number in range(10)])
    assert messages(load_rows(place, split)) == [(user(str(number)),) for number in kept]


def test_validation_rows_are_found_in_a_folder(tmp_path):
    splits = {name: datasets.Dataset.from_list([{"prompt": name}]) for name in ("train", "test")}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "saved")
    assert load_rows(str(tmp_path / "saved"), None)[0].messages == (user("test"),)
    assert load_rows(str(tmp_path / "saved"), "train")[0].messages == (user("train"),)
    with pytest.raises(DataError, match="no split 'dev'; its splits are train, test"):
        load_rows(str(tmp_path / "saved"), "dev")


@pytest.mark.parametrize(
    ("spec", "local"),
    [("owner/name", False), ("name", False), ("rows.json", True), ("./name", True), ("a/b/c", True), ("/abs", True),
     ("~/rows", True), ("owner/name.v2", False), ("dir/rows.jsonl", True)],
)  # fmt: skip
def test_files_and_hub_ids_are_told_apart(spec, local):
    assert is_local(spec) is local


def test_an_existing_folder_is_never_taken_for_a_hub_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner").mkdir()
    save(tmp_path / "owner" / "name", PAIRS)
    assert messages(load_rows("owner/name")) == ANSWERED


def test_a_hub_id_is_handed_to_datasets(monkeypatch):
    asked = []

    def load(name, split=None):
        asked.append((name, split))
        return datasets.Dataset.from_list(PAIRS)

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert messages(load_rows("owner/name", "train_sft[:1000]")) == ANSWERED
    assert asked == [("owner/name", "train_sft[:1000]")]


def test_inline_prompts():
    rows = conversations_from_prompts(["a", {"messages": [system("s"), user("b")]}], "anchor_prompts")
    assert messages(rows) == [(user("a"),), (system("s"), user("b"))]
    assert [row.source for row in rows] == ["anchor_prompts 1", "anchor_prompts 2"]


SCORED = [{"question": "a", "answer": "b"}, {"question": "c", "answer": "d"}]


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl", "rows.csv", "rows.parquet"])
def test_scored_questions(name, tmp_path):
    found = load_scored_rows(save(tmp_path / name, SCORED))
    assert [(one.text, one.answer, one.check, one.prefix) for one in found] == [
        ("a", "b", None, None),
        ("c", "d", None, None),
    ]


def test_scored_questions_with_chats_checks_and_several_answers(tmp_path):
    row = {
        "messages": [system("s"), user("a")],
        "output": ["b", "c"],
        "check": "contains",
        "prefix_messages": [system("p")],
    }
    (found,) = load_scored_rows(save(tmp_path / "rows.jsonl", [row]))
    assert found.messages == (system("s"), user("a"))
    assert (found.answers, found.check, found.prefix) == (("b", "c"), "contains", (system("p"),))


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=6), st.booleans())
def test_create_dataset_keeps_every_text(prompts, answered):
    made = create_dataset(prompts, prompts[::-1] if answered else None)
    expected = [
        (user(one), *([assistant(two)] if answered else [])) for one, two in zip(prompts, prompts[::-1], strict=True)
    ]
    assert messages(conversations(made)) == expected


def test_created_datasets_are_datasets_and_refuse_what_does_not_match():
    assert isinstance(create_dataset(PROMPTS, ANSWERS), datasets.Dataset)
    made = create_conversational_dataset([list(ANSWERED[0]), list(ANSWERED[1])], [[system("p")], None])
    found = conversations(made)
    assert messages(found) == ANSWERED
    assert [row.prefix for row in found] == [(system("p"),), None]
    assert messages(conversations(create_conversational_dataset([list(ANSWERED[0])]))) == ANSWERED[:1]
    with pytest.raises(DataError, match="2 prompts but 1 answers"):
        create_dataset(PROMPTS, ANSWERS[:1])
    with pytest.raises(DataError, match="no rows"):
        create_dataset([])
    with pytest.raises(DataError, match="row 1: response: is empty"):
        create_dataset(["a"], [""])
    with pytest.raises(DataError, match="1 chats but 2 prefixes"):
        create_conversational_dataset([[user("a")]], [None, None])


def test_load_dataset_gives_messages(tmp_path):
    rows = [{"prompt": "a", "response": "b", "prefix_messages": [system("p")]}]
    made = load_dataset(save(tmp_path / "rows.jsonl", rows))
    assert made.to_list() == [{"messages": [user("a"), assistant("b")], "prefix_messages": [system("p")]}]
    assert load_dataset(save(tmp_path / "rows.csv", PAIRS)).column_names == ["messages"]


def test_an_iterable_dataset_is_read_as_any_other():
    made = datasets.Dataset.from_list(PAIRS).to_iterable_dataset()
    assert messages(conversations(made)) == ANSWERED


turn = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["user", "assistant", "system", "bot"]),
        "content": st.text(max_size=2),
        "from": st.sampled_from(["human", "gpt"]),
        "value": st.none() | st.text(max_size=2),
    },
)
names = st.sampled_from(
    ["messages", "prompt", "input", "response", "answer", "conversations", "prefix_messages", "promt", "x"]
)
row = st.dictionaries(names, st.none() | st.text(max_size=3) | st.integers() | st.lists(turn, max_size=3), max_size=3)


@given(st.lists(row | st.text(max_size=2) | st.none() | st.integers(), max_size=3))
def test_any_rows_are_understood_or_refused_with_their_place(rows):
    try:
        found = conversations(rows, "name")
    except DataError as error:
        problem = str(error)
    else:
        problem = ""
        assert len(found) == len(rows)
        assert all(one.messages and one.messages[0]["role"] != "assistant" for one in found)
        assert all(isinstance(turn["content"], str) for one in found for turn in one.messages)
    assert not problem or problem.startswith("name")
    assert "\n" not in problem


def conversation(*turns, prefix=None):
    return Conversation(turns, prefix, "row 1")


def test_something_must_be_left_to_bake():
    chat = conversation(user("a"), assistant("b"), user("c"), assistant("d"))
    check_something_to_bake([chat], (system("p"),), 0)
    check_something_to_bake([chat], None, 2)
    check_something_to_bake([conversation(user("a"), prefix=(system("p"), user("q")))], None, 1)
    check_something_to_bake([conversation(user("a"), prefix=(system("p"),))], (system("p"),), 0)
    for rows, prefix, retained in (
        ([chat], None, 0),
        ([chat], (system("p"),), 1),
        ([chat], (), 0),
        ([conversation(user("a"), prefix=())], (system("p"),), 0),
        ([conversation(user("a"), prefix=(system("p"),))], None, 1),
    ):
        with pytest.raises(ConfigError, match="nothing to bake"):
            check_something_to_bake(rows, prefix, retained)
    with pytest.raises(DataError, match="row 1: nothing to bake: it has 4 message"):
        check_something_to_bake([chat], None, 4)


@pytest.mark.parametrize("name", ["prefix.yaml", "prefix.yml", "prefix.json"])
@pytest.mark.parametrize("held", [[system("p")], {"prefix_messages": [system("p")]}, {"messages": [system("p")]}])
def test_prefix_files(name, held, tmp_path):
    (tmp_path / name).write_text(json.dumps(held))
    assert load_prefix_messages(str(tmp_path / name)) == [system("p")]
    assert load_prefix(ContextConfig(prefix_messages_file=str(tmp_path / name))) == (system("p"),)


def test_a_prompt_file_and_inline_messages_give_the_prefix(tmp_path):
    (tmp_path / "prompt.txt").write_text("\ufeffBe {kind}.\n\n", "utf-8")
    with pytest.warns(DeprecationWarning, match="system_prompt"):
        context = ContextConfig(system_prompt_file=str(tmp_path / "prompt.txt"))
    assert load_prefix(context) == (system("Be {kind}."),)
    assert load_prefix(ContextConfig(prefix_messages=[user("a")])) == (user("a"),)
    assert load_prefix(ContextConfig()) is None


PAPERS = [{"title": "A {x}", "abstract": "B", "year": 1}, {"title": "C", "abstract": "D"}]


@pytest.mark.parametrize(
    ("kind", "name", "held", "text"),
    [
        ("papers", "k.json", json.dumps(PAPERS), "A {x}\nB\n\nC\nD"),
        ("list", "k.json", '["a", "b"]', "a\n\nb"),
        ("text", "k.json", '{"text": "a"}', "a"),
        ("text", "k.json", '"a"', "a"),
        ("text", "k.md", "# a\n{b}\n", "# a\n{b}"),
        ("custom", "k.json", '{"a": ["é"]}', '{\n  "a": [\n    "é"\n  ]\n}'),
    ],
)
def test_knowledge_files(kind, name, held, text, tmp_path):
    path = tmp_path / name
    path.write_text(held, "utf-8")
    assert load_corpus(str(path), kind) == text
    data = DataConfig(corpus_file=str(path), corpus_format=kind, system_prompt_template='{"k": {corpus}, "{0}": {}}')
    assert load_prefix(ContextConfig(), data) == (system('{"k": ' + text + ', "{0}": {}}'),)
    (default,) = load_prefix(ContextConfig(), DataConfig(corpus_file=str(path), corpus_format=kind))
    assert text in default["content"]


def test_all_rows_of_a_bake(tmp_path):
    data = DataConfig(
        dataset=save(tmp_path / "train.jsonl", PAIRS),
        dataset_split="train[:1]",
        eval_dataset=save(tmp_path / "val.csv", PAIRS),
        heldout_file=save(tmp_path / "held.json", SCORED),
        eval_file=save(tmp_path / "eval.csv", SCORED),
        anchor_prompts=["x"],
        anchor_dataset=save(tmp_path / "anchors.json", [{"prompt": "y"}]),
        anchor_file=save(tmp_path / "drift.json", [{"prompt": "z"}]),
    )
    found = load_bake_data(ContextConfig(prefix_messages=[system("p")]), data)
    assert found.prefix == (system("p"),)
    assert messages(found.train) == ANSWERED[:1]
    assert messages(found.validation) == ANSWERED
    assert messages(found.anchors) == [(user("x"),), (user("y"),)]
    assert messages(found.drift) == [(user("z"),)]
    assert (len(found.heldout), len(found.evaluation)) == (2, 2)


def test_a_large_file_is_read_quickly(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "response": "b"}\n' * 20_000)
    assert len(read_rows(str(path))) == 20_000
