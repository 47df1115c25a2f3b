"""Adapters get names that differ and the smallest rank that vLLM takes; what no server takes is refused in one line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakery.errors import ConfigError
from bakery.exporting.request import VLLM_RANKS
from bakery.serving.adapters import ServedAdapter, served_adapters, vllm_rank
from tests.serving.support import described

RANKS = st.lists(st.integers(1, 700), min_size=1, max_size=4)


@given(RANKS)
def test_the_rank_is_the_smallest_that_holds_all_adapters(tmp_path_factory, ranks):
    adapters = [ServedAdapter(str(rank), tmp_path_factory.getbasetemp(), rank) for rank in ranks]
    if max(ranks) > VLLM_RANKS[-1]:
        with pytest.raises(ConfigError, match=f"its rank {max(ranks)} is above 512.*--to merged"):
            vllm_rank(adapters)
        return
    allowed = vllm_rank(adapters)
    assert allowed in VLLM_RANKS
    assert allowed >= max(ranks)
    assert not any(max(ranks) <= rank < allowed for rank in VLLM_RANKS)


def test_names_are_the_ends_of_the_paths_that_differ(tmp_path):
    folders = [described(tmp_path / part) for part in ("a/run", "b/run", "c/other")]
    adapters = served_adapters([str(folder) for folder in folders])
    assert [adapter.name for adapter in adapters] == ["a/run", "b/run", "other"]
    assert [adapter.rank for adapter in adapters] == [16, 16, 16]
    with pytest.raises(ConfigError, match="given twice"):
        served_adapters([str(folders[0]), f"{folders[0]}/../run"])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"use_dora": True}, r"use_dora: true\); write bakery export .* --to merged"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"bias": "all"}, "bias"),
        ({"target_modules": ["q_proj", "embed_tokens"]}, "changes embed_tokens.*--to merged"),
        ({"alpha_pattern": {"q_proj": 8}}, "leave out its alpha_pattern; .* --to adapter, then bakery serve"),
        ({"rank_pattern": {"q_proj": 8}}, "leave out its rank_pattern"),
        ({"peft_type": "IA3"}, "of the type IA3; only LORA is served"),
    ],
)
def test_what_servers_leave_out_or_refuse_is_refused_before_the_start(changes, says, tmp_path):
    with pytest.raises(ConfigError, match=says):
        served_adapters([str(described(tmp_path / "run", **changes))])


def test_a_description_that_is_none_is_refused(tmp_path):
    (described(tmp_path) / "adapter_config.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot be read as JSON"):
        served_adapters([str(tmp_path)])
