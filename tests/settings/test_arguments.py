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
