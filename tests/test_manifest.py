"""A manifest tells a whole folder from one in which a single bit is another."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakery.manifest import MANIFEST, damage, files_of, read_manifest, replace_text, write_manifest

CONTENT = {"a.bin": b"weights", "sub/b.txt": b"rows", "empty": b""}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    for name, content in CONTENT.items():
        (tmp_path / name).write_bytes(content)
    write_manifest(tmp_path, about={"step": 3})
    return tmp_path


def test_what_was_not_touched_is_whole(folder):
    manifest = read_manifest(folder)
    assert damage(folder, manifest) is None
    assert set(manifest.files) == set(CONTENT) == files_of(folder)
    assert manifest.about == {"step": 3}


@given(data=st.data())
def test_every_single_bit_counts(tmp_path_factory, data):
    content = data.draw(st.binary(min_size=1, max_size=200))
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    folder = tmp_path_factory.mktemp("bits")
    (folder / "file").write_bytes(content)
    write_manifest(folder)
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    (folder / "file").write_bytes(changed)
    assert damage(folder, read_manifest(folder)) == "file was changed after it was written (its checksum differs)"


@pytest.mark.parametrize("name", CONTENT)
def test_a_file_that_is_gone_or_longer_is_named(name, folder):
    (folder / name).write_bytes(CONTENT[name] + b"x")
    size = len(CONTENT[name])
    assert damage(folder, read_manifest(folder)) == f"{name} has {size + 1} bytes and was written with {size}"
    (folder / name).unlink()
    assert damage(folder, read_manifest(folder)) == f"{name} is missing"


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "7", "null", '{"files": 3}', '{"files": {"a": {}}, "about": {}}', "[" * 100_000),
        json.dumps({"files": {"a": {"bytes": "many", "sha256": ""}}, "about": {}}),
    ],
)
def test_a_damaged_manifest_is_none(text, folder):
    (folder / MANIFEST).write_text(text)
    assert read_manifest(folder) is None
    (folder / MANIFEST).unlink()
    assert read_manifest(folder) is None


def test_files_may_lie_elsewhere_while_they_are_listed(tmp_path, folder):
    target = tmp_path / "new"
    target.mkdir()
    write_manifest(target, {"final": folder / "a.bin"})
    (folder / "a.bin").rename(target / "final")
    assert damage(target, read_manifest(target)) is None


def test_a_text_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "state.json"
    replace_text(path, "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        with pytest.raises(OSError, match="No space"):
            replace_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
