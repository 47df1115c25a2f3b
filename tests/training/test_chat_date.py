"""The date of a bake is stored beside its adapter and read again as it was."""

from datetime import UTC, datetime

import pytest

from bakery.errors import ConfigError
from bakery.training.chat_date import read_date, write_date


@pytest.mark.parametrize("today", [datetime(2026, 11, 22), datetime(2026, 2, 28, 23, 59, 59, 5, tzinfo=UTC)])
def test_a_date_that_was_written_is_read_again(today, tmp_path):
    write_date(tmp_path, today)
    assert read_date(tmp_path) == today
    assert read_date(str(tmp_path)) == today


def test_without_a_folder_or_a_file_there_is_no_date(tmp_path):
    assert read_date(None) is None
    assert read_date(tmp_path) is None


def test_a_file_without_a_date_is_refused_with_what_to_write(tmp_path):
    (tmp_path / "chat_date.txt").write_text("yesterday")
    with pytest.raises(ConfigError, match=r"chat_date\.txt holds no date such as 2026-11-22; write"):
        read_date(tmp_path)
