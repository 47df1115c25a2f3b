"""Conditions are plain values: compared, hashed, and scaled adapter by adapter."""

import pytest

from bakery.engine.distill.conditions import BAKED, BAKED_PROMPTED, BASE, PROMPTED, Condition, adapter_names

STACKED = Condition((("tone", 1.0), ("facts", 0.5)), prompted=True)


def test_the_four_conditions_of_a_proof_differ_and_can_name_figures():
    figures = {BASE: 1, PROMPTED: 2, BAKED: 3, BAKED_PROMPTED: 4}
    assert [figures[condition] for condition in (BASE, PROMPTED, BAKED, BAKED_PROMPTED)] == [1, 2, 3, 4]
    assert figures[Condition(BAKED.adapters)] == 3


def test_a_strength_multiplies_every_adapters_own_and_changes_nothing_else():
    assert STACKED.at(0.5) == Condition((("tone", 0.5), ("facts", 0.25)), prompted=True)
    assert STACKED.at(1.0) == STACKED
    assert STACKED.at(0.5).at(2.0) == STACKED


@pytest.mark.parametrize("condition", [BASE, PROMPTED])
def test_without_adapters_there_is_no_strength(condition):
    assert condition.at(0.0) == condition


def test_the_first_of_several_adapters_is_named_as_a_bake_trains_it():
    assert adapter_names(3) == [BAKED.adapters[0][0], "adapter_2", "adapter_3"]
    assert adapter_names(0) == []
