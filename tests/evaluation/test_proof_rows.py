"""Which rows a proof asks, and that none of them was trained on."""

import pytest

from bakery.errors import DataError
from bakery.evaluation.proof_rows import as_questions, as_rows, count_leaks, neutral, proof_rows
from bakery.rows.bake_data import BakeData
from bakery.rows.conversations import Conversation
from bakery.rows.questions import ScoredQuestion
from bakery.scoring.rules import parse_rules


def user(text: str, prefix=None, source: str = "here") -> Conversation:
    return Conversation(({"role": "user", "content": text},), prefix, source)


def question(text: str, source: str = "heldout row 1") -> ScoredQuestion:
    return ScoredQuestion(({"role": "user", "content": text},), ("yes",), source)


def data(**parts) -> BakeData:
    whole = {"prefix": ({"role": "system", "content": "Be brief."},), "train": [], "anchors": [], "validation": [],
             "heldout": [], "evaluation": [], "drift": []}  # fmt: skip
    return BakeData(**{**whole, **parts})


def test_a_held_out_question_that_was_trained_on_is_refused():
    for wording in ("Who are you?", "  who ARE\nyou? "):
        with pytest.raises(DataError, match="heldout row 1: this held-out question is trained on"):
            proof_rows(data(train=[user("Who are you?")], heldout=[question(wording)]))
    proof_rows(data(train=[user("Who are you?")], heldout=[question("And who are you?")]))


def test_a_question_behind_another_prefix_is_another_question():
    other = ({"role": "system", "content": "Be long."},)
    assert count_leaks(data(train=[user("Hello!", other)], evaluation=[question("Hello!")])) == {}


def test_questions_and_rows_keep_their_tools_and_others_make_another_question():
    tools = ({"type": "function", "function": {"name": "tide"}},)
    row = Conversation(user("Hello!").messages, None, "here", tools)
    (asked,) = as_questions([row])
    assert asked.tools == tools
    assert as_rows([asked]) == [row]
    assert count_leaks(data(train=[user("Hello!")], evaluation=[asked])) == {}
    assert count_leaks(data(train=[row], evaluation=[asked])) == {"eval_file": 1}


def test_other_rows_that_were_trained_on_are_counted():
    overlapping = data(
        train=[user("a"), user("b")],
        anchors=[user("x")],
        validation=[user("A"), user("c")],
        evaluation=[question("b"), question("c")],
        drift=[user("x"), user("y")],
    )
    assert count_leaks(overlapping) == {"eval_file": 1, "eval_dataset": 1, "anchor_file": 1}


def test_the_divergence_is_measured_on_what_was_never_trained_on_first():
    train = [user(str(n)) for n in range(100)]
    held, validation = [question("h")], [user("v")]
    assert proof_rows(data(train=train, heldout=held, validation=validation)).measured_on == "heldout"
    assert proof_rows(data(train=train, validation=validation)).measured_on == "validation"
    last = proof_rows(data(train=train))
    assert last.measured_on == "training"
    assert len(last.measured) == 64
    assert set(last.sets) == {"training"}


def test_side_effects_are_asked_under_other_prompts_and_generalisation_behind_the_prefix():
    systems, prompts = neutral()
    rows = proof_rows(data(train=[user("a")], drift=[user("mine")]))
    assert {row.messages[0]["content"] for row in rows.side_effects["neutral"]} == set(systems)
    assert [row.messages for row in rows.generalisation["neutral"]] == [
        ({"role": "user", "content": p},) for p in prompts
    ]
    assert all(row.prefix is None for row in rows.generalisation["neutral"])
    assert rows.side_effects["anchor_file"] == rows.generalisation["anchor_file"] == [user("mine")]
    own = ({"role": "system", "content": "Mine."},)
    by_row = proof_rows(data(prefix=None, train=[user("a", own)]))
    assert all(row.prefix == own for row in by_row.generalisation["neutral"])
    assert "neutral" not in proof_rows(data(prefix=None, train=[user("a")])).generalisation


def test_a_rule_about_no_question_is_refused_before_anything_is_asked():
    rules = parse_rules([{"name": "prices", "max_words": 3, "when": "price"}])
    with pytest.raises(DataError, match=r"rules: prices: no question matches when: 'price'"):
        proof_rows(data(train=[user("a")], heldout=[question("Hello!")]), rules)
    assert proof_rows(data(train=[user("a")], heldout=[question("What is the price?")]), rules).rules == rules


def test_the_work_counts_every_row_that_is_asked():
    rows = proof_rows(data(train=[user("a")], heldout=[question("b"), question("c")], evaluation=[question("d")]))
    neutral_rows = len(neutral()[1])
    # two conditions to three questions; teacher, base and rounding along two rows; two samples of the main set
    assert rows.work[0] == 2 * 3 + 3 * 2 + 2 * 2 + neutral_rows + 2 * neutral_rows
    # two conditions to and along all of them, and three replies to each of two questions shown token by token
    assert rows.work[1] == 2 * 3 + 2 * 2 + neutral_rows + neutral_rows + 3 * 2


def answered(prompt: str, answer: str) -> Conversation:
    return Conversation(({"role": "user", "content": prompt}, {"role": "assistant", "content": answer}), None, prompt)


def test_a_question_is_a_row_up_to_its_last_question():
    (asked,) = as_questions([answered("Who?", "Me.")])
    assert asked.messages == ({"role": "user", "content": "Who?"},)
    assert asked.answers == ()
