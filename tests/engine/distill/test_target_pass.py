"""Rows are planned in blocks that lose none, and read at their targets in any block."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bakery.chat.views import ViewPair
from bakery.engine.distill.conditions import BAKED, BASE, PROMPTED
from bakery.engine.distill.forward import plain_logits
from bakery.engine.distill.prefix import PrefixCache
from bakery.engine.distill.shortcut_trial import try_shortcuts_on
from bakery.engine.distill.target_pass import TargetPass, TargetRow
from bakery.engine.model.adapters import acting
from tests.engine_support import tiny_model

COMMON = list(range(5, 25))
PAIRS = [
    ViewPair([*COMMON, *own], own, [len(COMMON) + at for at in range(1, len(own))], list(range(1, len(own))), key, key)
    for key in ("one", "other")
    for own in ([30, 31, 32], [40, 41], [50, 51, 52, 53, 54])
]


def _pass(condition, budget=10_000):
    model = tiny_model(torch.float64, trained=True)
    shortcuts = try_shortcuts_on(model, PROMPTED, PAIRS, PrefixCache(model))
    assert shortcuts.prefix
    return TargetPass(model, condition, shortcuts, PrefixCache(model), budget)


@pytest.fixture(scope="module")
def model_pass():
    return _pass(PROMPTED)


@settings(max_examples=30, deadline=None)
@given(budget=st.integers(1, 60), lengths=st.lists(st.integers(2, 20), min_size=1, max_size=12))
def test_a_plan_holds_every_row_once_within_the_budget_and_shares_what_all_begin_with(model_pass, budget, lengths):
    rows = [TargetRow([*COMMON, *range(100, 100 + length)], [len(COMMON) + 1], "key") for length in lengths]
    blocks = replace(model_pass, token_budget=budget).plan(rows)
    assert sorted(row for block in blocks for row in block.rows) == list(range(len(rows)))
    for block in blocks:
        own = [len(rows[row].ids) - len(block.shared) for row in block.rows]
        assert sum(own) <= budget or len(own) == 1
        assert list(block.shared) == (COMMON if len(rows) > 1 else [])


def test_states_are_those_of_whole_passes_in_the_order_of_the_rows_under_every_condition():
    for condition in (BASE, PROMPTED, BAKED):
        for budget in (1, 7, 10_000):
            target_pass = _pass(condition, budget)
            states = target_pass.all_states(PAIRS)
            rows = [target_pass.row(pair) for pair in PAIRS]
            with torch.no_grad(), acting(target_pass.model, condition.adapters):
                wanted = torch.cat(
                    [plain_logits(target_pass.model, row.ids)[[at - 1 for at in row.targets]] for row in rows]
                )
            logits = target_pass.shortcuts.head.logits(states)
            torch.testing.assert_close(logits, wanted, rtol=1e-9, atol=1e-9)
