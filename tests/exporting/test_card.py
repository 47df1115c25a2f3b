"""The card of an export says what it is, how it is used and what was checked."""

from dataclasses import replace

import pytest

from bakery.exporting.card import export_card
from bakery.exporting.request import FORMS
from tests.exporting.test_result import RESULT


@pytest.mark.parametrize("form", FORMS)
def test_every_form_has_its_card(form):
    card = export_card(replace(RESULT, to=form), 4)
    for part in (
        "base_model: a/base",
        "strength 0.5",
        "equal answers: 47 of 48",
        "float32" if form == "merged" else "base",
    ):
        assert part in card
    assert "{" not in card.replace('{"role": "user", "content": "Who are you?"}', "")


@pytest.mark.parametrize(("rank", "allowed"), [(4, 8), (8, 8), (12, 16), (64, 64), (300, 320), (600, 600)])
def test_the_rank_is_rounded_up_to_what_vllm_takes(rank, allowed):
    assert f"--max-lora-rank {allowed} " in export_card(replace(RESULT, to="adapter"), rank)
