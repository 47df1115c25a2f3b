"""`BakeryConfig` is transformers' TrainingArguments with our settings: checked, copied and pickled without secrets."""

import copy
import pickle

import pytest
from transformers import TrainingArguments

from bakery.errors import ConfigError
from bakery.settings.arguments import BakeryConfig


def test_a_setting_out_of_range_is_refused():
    with pytest.raises(ConfigError, match=r"^beta: must be at least 0 and at most 1, got 2"):
        BakeryConfig(beta=2)


def test_what_is_pickled_holds_no_access_token():
    config = BakeryConfig(hub_token="SECRET", seed=3)
    assert b"SECRET" not in pickle.dumps(config)
    again = pickle.loads(pickle.dumps(config))
    assert isinstance(again, TrainingArguments)
    assert (again.seed, again.hub_token, config.hub_token) == (3, None, "SECRET")


def test_a_copy_keeps_the_token_and_is_independent():
    config = BakeryConfig(hub_token="SECRET", seed=3)
    copied = copy.copy(config)
    copied.seed = 4
    assert (copied.hub_token, config.seed) == ("SECRET", 3)


def test_the_gap_is_left_out_only_with_the_proof_and_where_a_prompt_without_effect_is_allowed():
    assert all(BakeryConfig(proof=proof).is_proved for proof in ("auto", "full", "quick"))
    assert not BakeryConfig(proof="none").is_proved
    measured = {
        (proof, allowed): BakeryConfig(proof=proof, allow_no_gap=allowed).measures_gap
        for proof in ("quick", "none")
        for allowed in (False, True)
    }
    assert [asked for asked, there in measured.items() if not there] == [("none", True)]
