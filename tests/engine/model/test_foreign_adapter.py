"""Adapters of strangers: what their description says is checked, and nothing of it is run, matched or made room for."""

import json
import os
import shutil
import sys
import time

import pytest
import torch
from safetensors.torch import load_file, save_file

from bakery.engine.model.foreign_adapter import CONFIG, WEIGHTS, checked_adapter
from bakery.engine.model.loading import load_adapter, load_further_adapter
from bakery.errors import ModelError
from tests.engine_support import tiny_base, tiny_model

REFUSED = {
    "pattern that matches nothing": ({"target_modules": r"(.*)*\.q_projX"}, "matches no layer"),
    "pattern that backtracks": ({"target_modules": r"(\w|\.)*(\w|\.)*(\w|\.)*Q"}, "matches no layer|more than 1 s"),
    "no pattern": ({"target_modules": "("}, "not a regular expression"),
    "modules of a wrong type": ({"target_modules": [["q_proj"]]}, "must be a pattern or a list"),
    "rank in words": ({"r": "x"}, "r: must be a number"),
    "large rank": ({"r": 10**9}, "no side above"),
    "rank of 400 digits": ({"r": 10**400}, "r: must be a number"),
    "rank that is none": ({"r": None}, "r: must be a number"),
    "alpha that is none": ({"lora_alpha": float("nan")}, "lora_alpha: must be a number"),
    "large rank of one layer": ({"rank_pattern": {"q_proj": 10**6}}, "no side above"),
    "rank pattern": ({"rank_pattern": {"(": 4}}, "not a regular expression"),
    "kind in a list": ({"peft_type": ["LORA"]}, "is no kind of adapter"),
    "unknown kind": ({"peft_type": "NOPE"}, "is no kind of adapter"),
    "pattern of layers": ({"layers_pattern": "(.*)*X", "layers_to_transform": [0]}, "layers_pattern"),
    "modules to save by a pattern": ({"modules_to_save": {"?*": None}}, "modules_to_save: must be a list of names"),
    "words to invoke it": ({"alora_invocation_tokens": "x"}, "must be a list of ids"),
}  # fmt: skip


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapter")
    tiny_model(trained=True).save_pretrained(folder)
    return folder


@pytest.fixture
def adapter(good, tmp_path):
    return shutil.copytree(good, tmp_path / "adapter")


def describe(folder, **changes):
    described = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**described, **changes}))


@pytest.mark.parametrize(("changes", "says"), REFUSED.values(), ids=REFUSED)
def test_a_description_that_cannot_be_meant_is_one_line_in_seconds(changes, says, adapter):
    describe(adapter, **changes)
    start = time.process_time()
    with pytest.raises(ModelError, match=says) as error:
        load_adapter(tiny_base(), adapter)
    assert len(str(error.value).splitlines()) == 1
    assert time.process_time() - start < 5


@pytest.mark.parametrize("content", [b"[" * 5000, b"", b"null", b"\xff\xfe", b'{"r": NaN', b'{"r": ' + b"9" * 10_000])
def test_a_damaged_description_is_one_line(content, adapter):
    (adapter / CONFIG).write_bytes(content)
    with pytest.raises(ModelError, match=CONFIG):
        load_adapter(tiny_base(), adapter)


def test_no_module_that_it_names_is_imported(adapter, tmp_path, monkeypatch):
    (tmp_path / "planted.py").write_text("raise SystemExit('code was run')")
    monkeypatch.syspath_prepend(tmp_path)
    mapping = {"parent_library": "planted", "base_model_class": "X"}
    describe(adapter, auto_mapping=mapping, megatron_config={"a": 1}, megatron_core="planted")
    load_adapter(tiny_base(), adapter)
    assert "planted" not in sys.modules


def test_patterns_mean_what_they_mean_to_peft(adapter):
    describe(adapter, rank_pattern={r"layers\.0\..*": 2}, target_modules=r".*\.(q_proj|v_proj)")
    with checked_adapter(adapter, tiny_base()) as folder:
        described = json.loads((folder / CONFIG).read_text())
    assert set(described["target_modules"]) == {
        f"model.layers.{layer}.self_attn.{name}" for layer in range(2) for name in ("q_proj", "v_proj")
    }
    assert set(described["rank_pattern"].values()) == {2}
    assert all(r"layers\.0" in name for name in described["rank_pattern"])


def test_a_pattern_gives_the_same_adapter_as_a_list_of_names(good, adapter):
    names = json.loads((good / CONFIG).read_text())["target_modules"]
    describe(adapter, target_modules=rf"(.*\.)?({'|'.join(names)})")
    expected = load_adapter(tiny_base(), good).state_dict()
    given = load_adapter(tiny_base(), adapter).state_dict()
    assert expected.keys() == given.keys()
    assert all(torch.equal(value, given[name]) for name, value in expected.items())
    load_further_adapter(load_adapter(tiny_base(), good), adapter, "further")


def damaged(adapter, change):
    weights = {name: change(value) for name, value in load_file(adapter / WEIGHTS).items()}
    (adapter / WEIGHTS).unlink()
    save_file({name: value for name, value in weights.items() if value is not None}, adapter / WEIGHTS)


def test_weights_that_do_not_fit_are_one_line(adapter):
    damaged(adapter, lambda value: torch.zeros(3, 5))
    with pytest.raises(ModelError, match=r"does not fit this base model|no side above"):
        load_adapter(tiny_base(), adapter)


def test_missing_weights_are_told(adapter):
    seen = []
    damaged(adapter, lambda value: seen.append(1) or (value if len(seen) % 2 else None))
    with pytest.raises(ModelError, match="Found missing adapter keys"):
        load_adapter(tiny_base(), adapter)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_told_by_name(number, adapter):
    damaged(adapter, lambda value: value * 0 + number)
    with pytest.raises(ModelError, match=r"weight .*lora_A.* is not finite"):
        load_adapter(tiny_base(), adapter)


@pytest.mark.parametrize("length", [0, 5, 500])
def test_a_cut_file_is_one_line(length, adapter):
    os.truncate(adapter / WEIGHTS, length)
    with pytest.raises(ModelError, match="is damaged"):
        load_adapter(tiny_base(), adapter)
