"""Which prompts are taken out of training to measure on."""

from bakery.rows.bake_data import BakeData
from bakery.rows.conversations import Conversation
from bakery.rows.questions import ScoredQuestion
from bakery.rows.validation import split_validation


def user(text: str) -> Conversation:
    return Conversation(({"role": "user", "content": text},), None, "here")


def question(text: str) -> ScoredQuestion:
    return ScoredQuestion(({"role": "user", "content": text},), ("yes",), "heldout row 1")


def data(**parts) -> BakeData:
    whole = {"prefix": ({"role": "system", "content": "Be brief."},), "train": [], "anchors": [], "validation": [],
             "heldout": [], "evaluation": [], "drift": []}  # fmt: skip
    return BakeData(**{**whole, **parts})


def answered(prompt: str, answer: str) -> Conversation:
    return Conversation(({"role": "user", "content": prompt}, {"role": "assistant", "content": answer}), None, prompt)


def test_validation_takes_prompts_with_all_their_rows():
    rows = [answered(f"question {number}", f"answer {k}") for number in range(40) for k in range(3)]
    split = split_validation(data(train=rows), 0.1, seed=5, needed=False)
    held_out, trained = ({row.source for row in part} for part in (split.validation, split.train))
    assert len(held_out) == 4
    assert not held_out & trained
    assert len(split.train) + len(split.validation) == len(rows)
    assert split_validation(data(train=rows), 0.1, seed=5, needed=False) == split
    assert {row.source for row in split_validation(data(train=rows), 0.1, seed=6, needed=False).validation} != held_out


def test_validation_takes_rows_only_where_they_are_needed():
    many, few = [user(str(n)) for n in range(40)], [user(str(n)) for n in range(5)]
    for whole in (
        data(train=few),
        data(train=many, heldout=[question("?")]),
        data(train=many, validation=[user("v")]),
    ):
        assert split_validation(whole, 0.1, 0, needed=False) == whole
    assert split_validation(data(train=many), 0.0, 0, needed=True) == data(train=many)
    assert len(split_validation(data(train=many, heldout=[question("?")]), 0.1, 0, needed=True).validation) == 4
    assert len(split_validation(data(train=few[:4]), 0.1, 0, needed=True).validation) == 2
    assert split_validation(data(train=few[:3]), 0.1, 0, needed=True) == data(train=few[:3])
