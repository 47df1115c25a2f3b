"""Files, folders and hub ids: every format gives the same rows, told apart without guessing, within bounds."""

import json
import logging
import os

import datasets
import pytest

from bakery.errors import DataError
from bakery.rows import sources
from bakery.rows.conversations import load_rows
from bakery.rows.sources import is_local, read_rows
from tests.rows.support import (
    ANSWERED,
    ANSWERS,
    ASKED,
    FORMATS,
    PAIRS,
    PROMPTS,
    assistant,
    messages,
    save,
    system,
    user,
)


@pytest.mark.parametrize("name", FORMATS)
def test_prompts_and_pairs_from_every_kind_of_file(name, tmp_path):
    path = tmp_path / name
    assert messages(load_rows(save(path, PAIRS))) == ANSWERED
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
    rows_read = load_rows(save(tmp_path / name, rows))
    assert messages(rows_read) == [tuple(row["messages"]) for row in rows]
    assert [row.prefix for row in rows_read] == [(system("p"), user("q")), None, ()]


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


def test_prefixes_in_a_csv_are_json(tmp_path):
    rows = [
        {"prompt": "a", "prefix_messages": json.dumps([system("p")])},
        {"prompt": "b", "prefix_messages": ""},
        {"prompt": "c", "prefix_messages": "[]"},
    ]
    rows_read = load_rows(save(tmp_path / "rows.csv", rows))
    assert [row.prefix for row in rows_read] == [(system("p"),), None, ()]


def test_cells_of_a_csv_stay_text(tmp_path):
    rows_read = load_rows(save(tmp_path / "rows.csv", [{"question": "007", "answer": "1e-4"}]))
    assert messages(rows_read) == [(user("007"), assistant("1e-4"))]


@pytest.mark.parametrize(
    ("split", "taken"),
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
def test_splits_and_slices(split, taken, name, tmp_path):
    path = save(tmp_path / name, [{"prompt": str(number)} for number in range(10)])
    assert messages(load_rows(path, split)) == [(user(str(number)),) for number in taken]


def test_validation_rows_are_taken_from_the_split_of_a_folder(tmp_path):
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


def test_rows_that_the_hub_refuses_and_that_are_not_here_are_refused_with_its_reason(monkeypatch):
    monkeypatch.setattr(sources, "refusal", lambda name, kind: f"the hub has no {kind} {name} (look for a slip)")
    says = (
        r"^owner/name: cannot be read as a hub id: the hub has no dataset owner/name \(look for a slip\); there is no"
    )
    with pytest.raises(DataError, match=says):
        read_rows("owner/name")


def test_rows_that_the_hub_refuses_are_read_from_the_cache_with_a_word(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(sources, "refusal", lambda name, kind: "the hub is gone (try again)")
    stored = tmp_path / "cache" / "owner___name" / "default" / "0.0.0" / "0123456789abcdef"
    save(tmp_path / "rows", PAIRS)
    builder = datasets.load_dataset_builder(str(tmp_path / "rows"), cache_dir=str(tmp_path / "prepared"))
    builder.download_and_prepare(str(stored))
    for file in stored.glob("*.arrow"):
        file.rename(file.with_name(file.name.replace(builder.dataset_name, "name")))
    with caplog.at_level(logging.WARNING, logger="bakery.rows.sources"):
        assert messages(load_rows("owner/name")) == ANSWERED
    assert caplog.messages[-1] == "owner/name: the hub is gone (try again); the copy in the cache is used"


def test_a_large_file_is_read_quickly(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "response": "b"}\n' * 20_000)
    assert len(read_rows(str(path))) == 20_000


def test_a_folder_with_many_files_that_are_no_data_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MAX_OTHER_FILES", 3)
    for number in range(4):
        (tmp_path / f"{number}.txt").write_text("a")
        (tmp_path / f"{number}.jsonl").write_text('{"prompt": "a"}')
    with pytest.raises(DataError, match="holds over 3 files that are no data; give the folder of the rows"):
        read_rows(str(tmp_path))
    monkeypatch.setattr(sources, "MAX_OTHER_FILES", 4)
    sources._refuse_large_folder(str(tmp_path), tmp_path)


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv", ".parquet", ""])
def test_a_pipe_is_no_data_set(suffix, tmp_path):
    os.mkfifo(tmp_path / f"rows{suffix}")
    with pytest.raises(DataError, match="is a pipe or a device"):
        read_rows(str(tmp_path / f"rows{suffix}"))


@pytest.mark.parametrize("name", ["", "x" * 5000, "/dev/zero", "~nobody-of-this-name/rows.json"])
def test_a_name_that_is_no_data_set_is_one_short_line(name):
    with pytest.raises(DataError) as refused:
        read_rows(name)
    assert len(str(refused.value)) < 200


def test_the_rows_of_an_object_are_its_only_list(tmp_path):
    (tmp_path / "two.json").write_text(json.dumps({"a": ["x"], "b": ["y"]}))
    with pytest.raises(DataError, match="must hold one list of rows, got lists under: a, b; keep one list"):
        read_rows(str(tmp_path / "two.json"))


@pytest.mark.parametrize("content", [None, b"\0" * 100])
def test_a_folder_with_a_pipe_or_zeros_for_a_text_is_refused_at_once(content, tmp_path):
    if content is None:
        os.mkfifo(tmp_path / "train.jsonl")
    else:
        (tmp_path / "train.jsonl").write_bytes(content)
    with pytest.raises(DataError, match=r"train\.jsonl: is (a pipe or a device|no text)"):
        read_rows(str(tmp_path))
