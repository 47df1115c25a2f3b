"""Half precision: which of it this machine has, and what becomes of settings that ask for what is not there.

Measured on two cores with a model of 42M parameters (seconds of CPU time for a step; weights float32 / bfloat16):

    bf16 instructions   bf16: false  0.65 / 0.26    bf16: true with use_cpu: true   0.40 / 0.27
    AVX-512 without     bf16: false  0.62 / 0.81    bf16: true with use_cpu: true   0.82 / 0.87
    AVX2 only           bf16: false  0.66 / not measured    with use_cpu: true      10.4 / not measured

So `bf16: true` alone, which was written for a GPU, gains nothing on a CPU: weights that are stored in bfloat16 are
computed with as they are. With `use_cpu: true` it is meant for the CPU, and taken where the CPU has the instructions.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from transformers.utils import is_torch_bf16_gpu_available, is_torch_tf32_available, is_torch_xla_available

if TYPE_CHECKING:
    from transformers import TrainingArguments

_WORDS = {torch.bfloat16: "bf16", torch.float16: "fp16"}


def has_accelerator() -> bool:
    """Whether there is anything but the CPU to compute on."""
    return bool(torch.accelerator.is_available() or is_torch_xla_available())


def cpu_has(dtype: torch.dtype) -> bool:
    """Whether the CPU has instructions for this half precision; without, float32 is faster, often many times."""
    known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(there is True and _WORDS[dtype] in name for name, there in known.items())


def is_slow_here(dtype: torch.dtype) -> bool:
    """Whether weights of this format are better loaded as float32: on a CPU that has no instructions for it."""
    return dtype in _WORDS and not has_accelerator() and not cpu_has(dtype)


def take_back_unavailable(args: "TrainingArguments") -> list[str]:
    """Turn off the half precisions that these settings ask for and the device does not have; a line for each kind."""
    notes = []
    for kind, names, note in _unavailable(args):
        asked = [name for name in names if getattr(args, name)]
        for name in asked:
            setattr(args, name, None if kind == "tf32" else False)
        if asked:
            notes.append(f"{asked[0]} {note}")
    return notes


def _unavailable(args: "TrainingArguments") -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Each kind that is not there, the settings that ask for it, and what happens instead."""
    accelerator = has_accelerator() and not args.use_cpu
    here = "the device" if accelerator else "the CPU"
    instead = "the model computes in the number format of its weights"
    has_bf16 = cpu_has(torch.bfloat16) if args.use_cpu else is_torch_bf16_gpu_available() or is_torch_xla_available()
    if not has_bf16:
        hint = " (use_cpu: true asks for bf16 on the CPU)" if not accelerator and cpu_has(torch.bfloat16) else ""
        yield "bf16", ("bf16", "bf16_full_eval"), f"is not available on {here}; {instead}{hint}"
    if not accelerator:
        yield "fp16", ("fp16", "fp16_full_eval"), f"is not available on {here}; {instead}"
    if not accelerator or not is_torch_tf32_available():
        yield "tf32", ("tf32",), f"is not available on {here}; float32 is computed in full"
