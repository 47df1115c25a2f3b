"""What is too long for the model or the settings is refused before anything is sampled, with both figures."""

import pytest

from bakery.chat.views import PromptPair, ViewPair, view_builder
from bakery.errors import ViewError
from bakery.rows.datasets import create_dataset
from bakery.settings.config import ContextConfig
from bakery.training.lengths import check_lengths, check_prefix, limit_of
from tests.engine_support import PREFIX, QUESTIONS, make_trainer, settings, tiny_base, tokenizer


def prompt(tokens: int) -> PromptPair:
    return PromptPair([7] * tokens, [7], f"row of {tokens}")


def answered(tokens: int) -> ViewPair:
    return ViewPair([7] * tokens, [7, 7], [tokens - 1], [1], f"row of {tokens}")


def test_the_lower_limit_counts(tmp_path):
    model = tiny_base(max_position_embeddings=64)
    assert str(limit_of(model, settings(tmp_path))) == "the model's context holds 64"
    assert str(limit_of(model, settings(tmp_path, max_seq_length=65))) == "the model's context holds 64"
    assert str(limit_of(model, settings(tmp_path, max_seq_length=63))) == "max_seq_length is 63"


def test_a_model_that_names_no_context_has_no_limit_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr("bakery.training.lengths.context_of", lambda config: None)
    assert limit_of(tiny_base(), settings(tmp_path)) is None
    assert str(limit_of(tiny_base(), settings(tmp_path, max_seq_length=63))) == "max_seq_length is 63"
    check_lengths([prompt(100_000)], tiny_base(), settings(tmp_path))


@pytest.mark.parametrize(
    ("row", "fits"), [(answered(64), True), (answered(65), False), (prompt(63), True), (prompt(64), False)]
)
def test_an_answered_row_may_fill_the_context_and_a_prompt_leaves_room_for_an_answer(row, fits, tmp_path):
    model, args = tiny_base(max_position_embeddings=64), settings(tmp_path)
    if fits:
        check_lengths([prompt(3), row], model, args)
        return
    tokens = len(row.teacher_ids)
    with pytest.raises(
        ViewError, match=f"^row of {tokens}: .* {tokens} tokens, the model's context holds 64, .*; shorten"
    ):
        check_lengths([prompt(3), row], model, args)


def test_rows_that_may_be_skipped_are_refused_only_if_none_is_left(tmp_path):
    model, args = tiny_base(), settings(tmp_path, max_seq_length=8, on_long_row="skip")
    check_lengths([prompt(3), prompt(9)], model, args)
    with pytest.raises(ViewError, match=r"every row is too long \(max_seq_length is 8\)"):
        check_lengths([prompt(9), prompt(10)], model, args)


def test_a_prefix_that_leaves_no_room_is_refused_by_itself(tmp_path):
    builder = view_builder(tokenizer(), ContextConfig(), PREFIX)
    args = settings(tmp_path)
    check_prefix(PREFIX, builder, tiny_base(), args)
    with pytest.raises(
        ViewError,
        match=r"^the prefix .* tokens, and the model's context holds 20; shorten it, give a long text as corpus_file",
    ):
        check_prefix(PREFIX, builder, tiny_base(max_position_embeddings=20), args)
    with pytest.raises(ViewError, match=r"^the prefix .* tokens, and max_seq_length is 20; raise it"):
        check_prefix(PREFIX, builder, tiny_base(), settings(tmp_path, max_seq_length=20))


def test_the_trainer_refuses_prompts_before_it_samples_their_answers(tmp_path):
    with pytest.raises(ViewError, match="max_seq_length is 20"):
        make_trainer(tmp_path, rows=create_dataset(QUESTIONS), max_seq_length=20)
