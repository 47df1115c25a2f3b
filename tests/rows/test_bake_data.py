"""All rows of a bake: read from where the settings say; something must be left to bake."""

import pytest

from bakery.errors import ConfigError, DataError
from bakery.rows.bake_data import check_something_to_bake, load_bake_data
from bakery.rows.conversations import Conversation
from bakery.settings.config import ContextConfig, DataConfig
from tests.rows.support import ANSWERED, PAIRS, SCORED, assistant, messages, save, system, user


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
    rows_read = load_bake_data(ContextConfig(prefix_messages=[system("p")]), data)
    assert rows_read.prefix == (system("p"),)
    assert messages(rows_read.train) == ANSWERED[:1]
    assert messages(rows_read.validation) == ANSWERED
    assert messages(rows_read.anchors) == [(user("x"),), (user("y"),)]
    assert messages(rows_read.drift) == [(user("z"),)]
    assert (len(rows_read.heldout), len(rows_read.evaluation)) == (2, 2)
