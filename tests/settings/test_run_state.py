"""A run folder knows how far its bake is and whether somebody bakes there; a process that is gone holds no lock."""

import subprocess
import sys

import pytest

from bakery.errors import ConfigError, ModelError, ResourceError
from bakery.manifest import MANIFEST, write_manifest
from bakery.settings.run_state import STATE, RunState, check_run, locked, read_state, write_state

DIGESTS = {"r": "a", "seed": "b"}
HOLDER = """
import sys, time
from bakery.settings.run_state import locked
with locked(sys.argv[1]):
    print("locked", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("phase", ["baking", "moving", "finished"])
def test_what_is_written_is_read(phase, tmp_path):
    write_state(tmp_path / "new" / "folder", RunState(phase, DIGESTS))
    assert read_state(tmp_path / "new" / "folder") == RunState(phase, DIGESTS)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"phase": "gone", "digests": {}}', '{"phase": "baking"}'])
def test_a_damaged_state_is_none(text, tmp_path):
    assert read_state(tmp_path) is None
    (tmp_path / STATE).write_text(text)
    assert read_state(tmp_path) is None


def test_settings_that_differ_are_named_whichever_side_lacks_them():
    state = RunState("baking", DIGESTS)
    assert state.differences(DIGESTS) == []
    assert state.differences({"r": "c", "seed": "b"}) == ["r"]
    assert state.differences({"seed": "b", "beta": "c"}) == ["beta", "r"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match=r"output_dir: .*file.* cannot be written"):
        write_state(tmp_path / "file" / "out", RunState("baking", {}))
    with pytest.raises(ResourceError, match=r"output_dir: .*file.* cannot be written"), locked(str(tmp_path / "file")):
        pass


def test_one_process_bakes_at_a_time_and_a_killed_one_leaves_no_lock(tmp_path):
    out = str(tmp_path / "out")
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, out], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "locked\n"
    with pytest.raises(ConfigError, match=r"output_dir: another process is baking into .*out; wait"), locked(out):
        pass
    holder.kill()
    holder.communicate()
    with locked(out):
        write_state(tmp_path / "out", RunState("baking", DIGESTS))
        (tmp_path / "out" / "rows").touch()
    assert read_state(tmp_path / "out") == RunState("baking", DIGESTS)


@pytest.mark.parametrize("existed", [True, False])
def test_a_bake_that_was_refused_at_once_leaves_nothing(existed, tmp_path):
    folder = tmp_path / "a" / "b"
    if existed:
        folder.mkdir(parents=True)

    def refused() -> None:
        with locked(str(folder)):
            write_state(folder, RunState("baking", DIGESTS))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        refused()
    assert list(tmp_path.rglob("*")) == ([tmp_path / "a", folder] if existed else [])


# ---- a finished run ----


@pytest.fixture
def run(tmp_path):
    """A run folder with its manifest."""
    for name in ("adapter_model.safetensors", "tokenizer.json", "chat_template.jinja", "results.json", "heldout.jsonl"):
        (tmp_path / name).write_text(name)
    write_manifest(tmp_path)
    return tmp_path


DAMAGE = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-2]),
    "flipped": lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\x00"),
}


def test_a_whole_run_and_a_folder_without_a_manifest_pass(run):
    assert check_run(run) == []
    (run / MANIFEST).unlink()
    (run / "tokenizer.json").unlink()
    assert check_run(run) == []


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", ["adapter_model.safetensors", "tokenizer.json", "chat_template.jinja"])
def test_a_damaged_adapter_or_tokenizer_is_refused(name, damage, run):
    DAMAGE[damage](run / name)
    with pytest.raises(ModelError, match=rf"the bake is damaged: {name} .*; bake again, take a whole copy"):
        check_run(run)


@pytest.mark.parametrize("damage", DAMAGE)
def test_any_other_damaged_file_is_named(damage, run):
    DAMAGE[damage](run / "heldout.jsonl")
    (told,) = check_run(run)
    assert "heldout.jsonl" in told


def test_a_damaged_manifest_is_told(run):
    (run / MANIFEST).write_text("{")
    (told,) = check_run(run)
    assert "nothing tells whether the other files are whole" in told
