"""Adapters with any description: loaded, or refused in one line, and no code of theirs is run."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig

from bakery.engine.model.loading import load_adapter
from tests.engine_support import tiny_base, tiny_model
from tests.faults.fuzzing.support import VALUES, fuzzed, refusal_or_done

KEYS = st.sampled_from(sorted({*LoraConfig.__dataclass_fields__, "unknown"}))


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapter")
    tiny_model(trained=True).save_pretrained(folder)
    return folder


@fuzzed
@given(changes=st.dictionaries(KEYS, VALUES, min_size=1, max_size=2))
def test_adapters_with_any_description(changes, adapter, recwarn):
    good = (adapter / "adapter_config.json").read_text()
    try:
        (adapter / "adapter_config.json").write_text(json.dumps({**json.loads(good), **changes}))
        refusal_or_done(lambda: load_adapter(tiny_base(), adapter))
    finally:
        (adapter / "adapter_config.json").write_text(good)
