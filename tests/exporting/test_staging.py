"""A folder appears when all of it is written, and an older one is whole until then."""

import pytest

from bakery.errors import ResourceError
from bakery.exporting.staging import staged


def test_the_folder_takes_its_name_at_the_end(tmp_path):
    folder = tmp_path / "a" / "b"
    with staged(folder) as staging:
        (staging / "file").write_text("new")
        assert not folder.exists()
    assert [path.name for path in folder.parent.iterdir()] == ["b"]
    assert (folder / "file").read_text() == "new"


def test_after_an_error_nothing_has_changed(tmp_path):
    folder = tmp_path / "a" / "b"
    with pytest.raises(ResourceError, match="cannot be written"), staged(folder) as staging:
        (staging / "no" / "such").mkdir()
    assert list(tmp_path.iterdir()) == []
    folder.mkdir(parents=True)
    (folder / "file").write_text("old")
    with pytest.raises(ValueError, match="no"), staged(folder):
        raise ValueError("no")
    assert [path.read_text() for path in folder.iterdir()] == ["old"]
    with staged(folder) as staging:
        (staging / "other").write_text("new")
    assert [path.name for path in folder.iterdir()] == ["other"]
    assert [path.name for path in folder.parent.iterdir()] == ["b"]


def test_where_nothing_can_be_written_that_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match=r"output_dir: .*cannot be written"), staged(tmp_path / "file" / "b"):
        pass
