"""A hub that is gone, refuses, is slow or breaks off: one line by the command itself, and what is here is used."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.support import only_with_all_faults
from tests.reading_hub import ANSWERS, ReadingHub, reading_hub

MODEL, ROWS = "owner/tiny", "owner/rows"
CLOSED = "http://127.0.0.1:9"
HELPS = {
    "refused": "the connection to the hub failed ([Errno 111] Connection refused; try again)",
    "silent": "the hub gave no answer within 4 s (HF_HUB_ETAG_TIMEOUT=60 waits for a minute)",
    "drip": "the hub gave no answer within 4 s (HF_HUB_ETAG_TIMEOUT=60 waits for a minute)",
    "gated": "(401; ask for it on the page there, then hf auth login)",
    "denied": "(403; ask for it on the page there, then hf auth login)",
    "missing": "(404; look for a slip, or hf auth login where it is private)",
    "private": "(401; look for a slip, or hf auth login where it is private)",
    "limited": "(429; wait some minutes)",
    "failing": "(503; try again later)",
}
SAMPLE = ("refused", "silent", "gated")
PROMPT = ["--system_prompt", "Speak like a pirate."]
NAMED = ["--model_name_or_path", MODEL, *PROMPT, "--training_prompts", "What is AI?"]
INSPECT = ["inspect", *NAMED]
PLAN = ["--plan", *NAMED, "--use_cpu"]


def sampled(faults, sample):
    return [fault if fault in sample else pytest.param(fault, marks=only_with_all_faults) for fault in faults]


@pytest.fixture
def hub(saved_base):
    rows = b"".join(b'{"prompt": "What is %d?", "response": "A number."}\n' % number for number in range(20))
    files = {path.name: path.read_bytes() for path in Path(saved_base).iterdir()}
    with reading_hub({MODEL: files, f"datasets/{ROWS}": {"README.md": b"rows\n", "train.jsonl": rows}}) as hub:
        yield hub


def command(words: list[str], hub: ReadingHub, folder: Path, fault: str = "", **variables: str):
    """The command, asking the stand-in; `folder` holds what the clients keep of it."""
    hub.asked.clear()
    hub.fault = fault
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {
        "HF_ENDPOINT": CLOSED if fault == "refused" else hub.url,
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_ETAG_TIMEOUT": "4",
        **variables,
    }
    done = subprocess.run(
        [sys.executable, "-m", "bakery", *words], env=environment, cwd=folder, capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr
    return done


def asked(hub: ReadingHub, method: str, file: str) -> int:
    return len([line for line in hub.asked if line.startswith(method) and line.endswith(f"/{file}")])


def asked_once(hub: ReadingHub, fault: str, file: str) -> bool:
    """Whether the client asked for the file, and did not ask again; without an answer it may not come to that."""
    return asked(hub, "HEAD", file) == 1 if fault in ANSWERS else asked(hub, "HEAD", file) <= 1


@pytest.mark.parametrize("fault", sampled(HELPS, SAMPLE))
def test_a_model_that_cannot_be_had_is_one_line_after_one_question(fault, hub, tmp_path):
    done = command(INSPECT, hub, tmp_path, fault)
    assert done.returncode == 4
    told, refused = done.stderr.splitlines()
    assert told == f"reading {MODEL} from the hub"
    assert refused.startswith(f"bakery: error: {MODEL}: the model is not in the cache, and ")
    assert HELPS[fault] in refused
    assert refused.endswith("; give a local folder, or starter, the model shipped with Bakery")
    assert asked_once(hub, fault, "config.json")
    assert {*ANSWERS, "refused", "silent", "drip"} == {*HELPS}


@only_with_all_faults
@pytest.mark.parametrize("fault", HELPS)
def test_rows_that_cannot_be_had_are_one_line_after_one_question(fault, hub, tmp_path):
    words = ["inspect", "--model_name_or_path", "starter", *PROMPT, "--dataset", ROWS]
    done = command(words, hub, tmp_path, fault)
    assert done.returncode == 3
    (refused,) = done.stderr.splitlines()
    assert refused.startswith(f"bakery: error: {ROWS}: cannot be read as a hub id: ")
    assert HELPS[fault] in refused
    assert refused.endswith("; give a local file or folder")
    assert asked_once(hub, fault, "README.md")


@pytest.mark.parametrize("fault", sampled(["refused", "silent", "limited"], ["refused"]))
def test_what_is_here_is_used_while_the_hub_is_gone(fault, hub, tmp_path):
    words = ["inspect", "--model_name_or_path", MODEL, *PROMPT, "--dataset", ROWS]
    before = command(words, hub, tmp_path)
    assert before.returncode == 0, before.stderr
    after = command(words, hub, tmp_path, fault)
    assert after.returncode == 0, after.stderr
    assert after.stdout == before.stdout
    used = [line for line in after.stderr.splitlines() if line.endswith("; the copy in the cache is used")]
    assert sorted(line.partition(": ")[0] for line in used) == [ROWS, MODEL]
    assert all(HELPS[fault] in line for line in used)
    assert asked_once(hub, fault, "config.json")
    assert asked_once(hub, fault, "README.md")


@only_with_all_faults
@pytest.mark.parametrize("fault", ["cut", "torn", "stalled"])
@pytest.mark.parametrize(("words", "file"), [(INSPECT, "tokenizer.json"), (PLAN, "model.safetensors")])
def test_a_download_that_breaks_off_is_one_line_and_the_next_try_goes_on(words, file, fault, hub, tmp_path):
    hub.broken = file
    broken = command(words, hub, tmp_path, fault, HF_HUB_DOWNLOAD_TIMEOUT="1")
    assert broken.returncode == 4
    told, refused = broken.stderr.splitlines()
    assert told == f"reading {MODEL} from the hub"
    assert refused.startswith(f"bakery: error: {MODEL}: the ")
    assert "is not in the cache, and the connection to the hub failed (" in refused
    assert "; try again); " in refused
    held = [path for path in (tmp_path / "hf" / "hub").rglob("blobs/*") if path.is_file()]
    assert held
    assert all(path.name == hashlib.sha256(path.read_bytes()).hexdigest() for path in held), "whole files only"
    after = command(words, hub, tmp_path)
    assert after.returncode == 0, after.stderr
    assert asked(hub, "GET", "config.json") == 0, "what is whole is not read again"


@only_with_all_faults
def test_a_download_that_breaks_off_once_is_tried_again_by_the_same_command(hub, tmp_path):
    hub.broken, hub.times = "model.safetensors", 1
    done = command(PLAN, hub, tmp_path, "cut")
    assert done.returncode == 0, done.stderr
    assert asked(hub, "GET", "model.safetensors") == 2


@only_with_all_faults
@pytest.mark.parametrize(("words", "file"), [(INSPECT, "tokenizer.json"), (PLAN, "model.safetensors")])
def test_a_file_of_the_right_size_and_other_bytes_is_one_line_that_says_how_to_check_it(words, file, hub, tmp_path):
    hub.broken = file
    done = command(words, hub, tmp_path, "other")
    assert done.returncode == 4
    _, refused = done.stderr.splitlines()
    assert refused.startswith("bakery: error: cannot load the ")
    assert refused.endswith(f"; hf cache verify {MODEL} tells whether a file was damaged on its way")


@only_with_all_faults
def test_a_model_that_is_here_in_part_is_one_line_while_the_hub_is_gone(hub, tmp_path):
    assert command(INSPECT, hub, tmp_path).returncode == 0, "reads the tokenizer, and no weights"
    done = command(PLAN, hub, tmp_path, "refused")
    assert done.returncode == 4
    told, used, refused = done.stderr.splitlines()
    assert told == f"reading {MODEL} from the hub"
    assert used.endswith("; the copy in the cache is used")
    assert refused.startswith(
        f"bakery: error: {MODEL}: the model is not in the cache, and the connection to the hub failed ("
    )
