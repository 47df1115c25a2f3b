"""Files: only regular ones are read; whatever a name is, the refusal is one short line and comes at once."""

import os

import pytest

from bakery.errors import ConfigError, DataError, ModelError
from bakery.settings.files import as_path, existing_file, file_to_write, read_bytes, read_description, read_text
from tests.settings.support import refusal


def test_a_text_file_is_read_without_its_byte_order_mark(tmp_path):
    (tmp_path / "a.txt").write_text("\ufeffÄ\n", "utf-8")
    assert read_text(tmp_path / "a.txt", ConfigError) == "Ä\n"


@pytest.mark.parametrize("name", ["", " ", "x" * 5000, "x/" * 5000, "~nobody-of-this-name/x", "a\0b"])
def test_a_name_that_cannot_be_a_path_is_one_short_line(name):
    for action in (lambda: as_path(name, DataError), lambda: read_text(name, DataError)):
        problem = refusal(action)
        assert problem
        assert len(problem) < 200
        assert "\n" not in problem


def test_pipes_devices_and_folders_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    assert "is a pipe or a device" in refusal(lambda: existing_file("/dev/zero", ConfigError))
    assert "is a pipe or a device" in refusal(lambda: existing_file(tmp_path / "pipe.yaml", ConfigError))
    assert "is a pipe or a device" in refusal(lambda: read_text(tmp_path / "pipe.yaml", ConfigError))
    assert "is a folder" in refusal(lambda: existing_file(tmp_path, ConfigError))
    assert "no such file (looked in" in refusal(lambda: existing_file(tmp_path / "nope", ConfigError))


def test_a_file_that_is_too_long_or_not_utf8_is_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"one\ntwo \xff\n")
    assert "a.txt line 2: not UTF-8 text" in refusal(lambda: read_text(tmp_path / "a.txt", ConfigError))
    assert "is 10 bytes long or longer; at most 9 are read" in refusal(
        lambda: read_text(tmp_path / "a.txt", ConfigError, 9)
    )


@pytest.mark.parametrize("content", ["", " \n\t", "\ufeff\n"])
def test_a_file_of_white_space_alone_is_refused_in_the_words_of_its_reader(content, tmp_path):
    (tmp_path / "a.txt").write_text(content, "utf-8")
    assert refusal(lambda: read_text(tmp_path / "a.txt", DataError)).endswith(
        "a.txt: is empty; write something into it, or leave the setting out"
    )
    assert refusal(lambda: read_text(tmp_path / "a.txt", DataError, if_empty="write it")).endswith("a.txt: write it")


def test_the_home_folder_is_written_as_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.txt").write_text("a")
    assert read_text("~/a.txt", ConfigError) == "a"


def test_a_file_that_gives_nothing_yet_is_not_waited_for(monkeypatch, tmp_path):
    (tmp_path / "a.txt").write_text("a")
    reading, writing = os.pipe()
    monkeypatch.setattr("bakery.settings.files.os.open", lambda path, flags: os.dup(reading))
    assert "is a pipe or a device" in refusal(lambda: read_bytes(tmp_path / "a.txt", DataError))
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("content", ["[1]", "{", "", "[" * 5000, '{"a":' * 5000, "\udcff", '{"a": ' + "9" * 5000 + "}"])
def test_a_description_that_is_no_object_is_one_short_line(content, tmp_path):
    (tmp_path / "a.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    problem = refusal(lambda: read_description(tmp_path / "a.json", ModelError))
    assert "a.json: " in problem
    assert "\n" not in problem


def test_a_long_description_is_not_read(tmp_path):
    (tmp_path / "a.json").touch()
    os.truncate(tmp_path / "a.json", 2**40)
    assert "at most 4,000,000 are read" in refusal(lambda: read_description(tmp_path / "a.json", ModelError))


def test_what_is_written_is_a_regular_file_in_a_folder_that_is_there(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "old.html").write_text("old")
    for name in ("new.html", "old.html"):
        assert file_to_write(tmp_path / name, ConfigError) == tmp_path / name
    for name, says in (("pipe", "a folder, a pipe or a device"), (".", "a folder, a pipe"), ("no/x.html", "no folder")):
        assert says in refusal(lambda name=name: file_to_write(tmp_path / name, ConfigError, "--html"))


@pytest.mark.parametrize(("levels", "deep"), [(1, False), (150, False), (400, True), (100_000, True)])
def test_a_description_that_is_nested_too_deeply_is_refused_by_every_python(levels, deep, tmp_path):
    file = tmp_path / "config.json"
    file.write_text('{"a": ' + "[" * levels + "]" * levels + "}")
    if not deep:
        assert list(read_description(file, ModelError)) == ["a"]
        return
    with pytest.raises(ModelError, match="nested too deeply"):
        read_description(file, ModelError)
