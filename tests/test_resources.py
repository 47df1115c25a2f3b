"""A full disk and used-up memory are one line with what is lacking; every other error stays what it is."""

import errno
import os
import subprocess
import sys
from collections import namedtuple

import pytest

from bakery.errors import DataError, ResourceError
from bakery.resources import check_room, free_bytes, peak_bytes, resources_told

FULL = [
    OSError(errno.ENOSPC, "No space left on device", "/runs/x/results.json"),
    OSError(errno.EDQUOT, "Disk quota exceeded", "/runs/x/results.json"),
    Exception("No space left on device (os error 28)"),  # what tokenizers raise
    RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 1576192 vs 1576080"),
    RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"),
]
USED_UP = [
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried to"),
    RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"),
    RuntimeError("std::bad_alloc"),
]
# What torch, safetensors and json really raise on a file system of 64 kB.
REAL = """
import json, sys, torch
from pathlib import Path
from safetensors.torch import save_file
from bakery.resources import resources_told
folder = Path(sys.argv[1])
writers = {
    "torch": lambda: torch.save({"x": torch.zeros(100_000)}, folder / "a.pt"),
    "safetensors": lambda: save_file({"x": torch.zeros(100_000)}, folder / "a.safetensors"),
    "text": lambda: (folder / "a.json").write_text("x" * 400_000),
}
with resources_told(folder, 400_000):
    writers[sys.argv[2]]()
"""


def raised(error, **named):
    with resources_told("/runs/x", **named):
        raise error


@pytest.mark.parametrize("error", FULL, ids=str)
def test_a_full_disk_names_path_need_and_what_is_free(error):
    with pytest.raises(ResourceError) as told:
        raised(error, saved_bytes=11_000_000)
    line = str(told.value)
    path = "/runs/x/results.json" if isinstance(error, OSError) else "/runs/x"
    assert line.startswith(f"{path}: the disk is full: ")
    assert " are free, and a save there takes about 11 MB; make room, and the same command goes on" in line
    assert told.value.exit_code == 5


@pytest.mark.parametrize("error", USED_UP, ids=str)
def test_used_up_memory_names_the_peak_and_the_settings_to_change(error):
    with pytest.raises(ResourceError, match=r"^the memory is used up: at most .* were in use; lower token_budget"):
        raised(error)


@pytest.mark.parametrize(
    "error", [OSError(errno.EACCES, "Permission denied"), RuntimeError("sizes"), DataError("rows"), KeyError("x")]
)
def test_any_other_error_stays_what_it_is(error):
    with pytest.raises(type(error)) as told:
        raised(error)
    assert told.value is error


def test_an_interruption_passes():
    with pytest.raises(KeyboardInterrupt):
        raised(KeyboardInterrupt("out of memory"))


def test_too_little_room_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10, 10, 3_000_000))
    check_room(tmp_path, 3_000_000, "the checkpoints")
    with pytest.raises(ResourceError, match=r"has room for 3\.0 MB, and the checkpoints take about 3\.1 MB; make room"):
        check_room(tmp_path, 3_100_000, "the checkpoints")


def test_free_bytes_are_known_of_a_folder_that_is_still_to_be_made(tmp_path):
    assert free_bytes(tmp_path / "new" / "folder") > 0


def test_the_peak_is_at_least_what_was_just_used():
    held = bytearray(50_000_000)
    assert peak_bytes() >= len(held)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")
@pytest.mark.parametrize("writer", ["torch", "safetensors", "text"])
def test_what_the_libraries_raise_on_a_small_disk_is_understood(writer, tmp_path):
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], capture_output=True)
    if mounted.returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        command = [sys.executable, "-c", REAL, tmp_path, writer]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("bakery.errors.ResourceError: "), done.stderr
    assert "the disk is full" in last
    assert "about 400 kB" in last
