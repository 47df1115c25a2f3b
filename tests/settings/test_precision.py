"""Half precision that is not there is turned off with one note; what is there is left as it was asked for."""

import pytest
import torch

from bakery.errors import ConfigError
from bakery.settings import precision
from bakery.settings.arguments import BakeryConfig


@pytest.fixture
def cpu(monkeypatch):
    """A machine without accelerator whose CPU has these instructions."""

    def of(*capabilities: str) -> None:
        monkeypatch.setattr(precision, "has_accelerator", lambda: False)
        monkeypatch.setattr(precision, "is_torch_bf16_gpu_available", lambda: False)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(capabilities, True), raising=False)

    return of


@pytest.mark.parametrize("name", ["bf16", "fp16", "tf32", "bf16_full_eval", "fp16_full_eval"])
def test_on_a_cpu_it_is_turned_off_and_said_once(name, cpu):
    cpu("avx2")
    args = BakeryConfig(**{name: True})
    assert not getattr(args, name)
    assert args.mixed_precision == "no"
    (note,) = args.notes
    assert note.startswith(f"{name} is not available on the CPU; ")
    assert "use_cpu" not in note


def test_two_settings_of_one_kind_are_one_note(cpu):
    cpu()
    assert len(BakeryConfig(bf16=True, bf16_full_eval=True).notes) == 1


def test_a_cpu_with_the_instructions_computes_with_them_where_the_cpu_is_asked_for(cpu):
    cpu("avx512_bf16")
    asked = BakeryConfig(bf16=True, use_cpu=True)
    assert (asked.bf16, asked.mixed_precision, asked.notes) == (True, "bf16", [])
    unasked = BakeryConfig(bf16=True)
    assert not unasked.bf16
    assert "use_cpu: true asks for bf16 on the CPU" in unasked.notes[0]
    assert unasked.use_cpu is False  # what is saved with the run must not keep another machine from its GPU


def test_a_cpu_without_the_instructions_is_never_asked_for_them(cpu):
    cpu("avx2", "avx512_f")
    args = BakeryConfig(bf16=True, use_cpu=True)
    assert (args.bf16, len(args.notes)) == (False, 1)


def test_on_an_accelerator_all_stays_as_it_was_asked_for(monkeypatch):
    for name in ("has_accelerator", "is_torch_bf16_gpu_available", "is_torch_tf32_available"):
        monkeypatch.setattr(precision, name, lambda: True)
    asked = BakeryConfig()
    asked.bf16, asked.fp16_full_eval, asked.tf32 = True, True, True
    assert precision.take_back_unavailable(asked) == []
    assert (asked.bf16, asked.fp16_full_eval, asked.tf32) == (True, True, True)


def test_nothing_asked_for_is_no_note(cpu):
    cpu()
    assert BakeryConfig().notes == []
    with pytest.raises(ConfigError, match="beta"):
        BakeryConfig(beta=2, bf16=True)


def test_weights_are_slow_only_in_a_half_precision_that_the_cpu_does_not_have(cpu):
    cpu("avx512_bf16")
    slow = {dtype: precision.is_slow_here(dtype) for dtype in (torch.bfloat16, torch.float16, torch.float32)}
    assert slow == {torch.bfloat16: False, torch.float16: True, torch.float32: False}
