"""Adapters with any description: loaded, or refused in one line, and no code of theirs is run."""

import functools
import json
import warnings

from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig

from bakery.engine.model.loading import load_adapter
from tests.engine_support import tiny_base, tiny_model
from tests.faults.fuzzing.support import VALUES, fuzzed, refusal_or_done, scratch

KEYS = st.sampled_from(sorted({*LoraConfig.__dataclass_fields__, "unknown"}))


@functools.cache
def adapter():
    """The folder of a good adapter."""
    tiny_model(trained=True).save_pretrained(scratch())
    return scratch()


@fuzzed
@given(changes=st.dictionaries(KEYS, VALUES, min_size=1, max_size=2))
def test_adapters_with_any_description(changes):
    described = adapter() / "adapter_config.json"
    good = described.read_text()
    try:
        described.write_text(json.dumps({**json.loads(good), **changes}))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peft warns of keys that it does not know
            refusal_or_done(lambda: load_adapter(tiny_base(), adapter()))
    finally:
        described.write_text(good)
