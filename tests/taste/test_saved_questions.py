"""Questions that are kept can be given back to a bake."""

import pytest

from bakery.errors import ResourceError
from bakery.rows.conversations import load_rows
from bakery.taste.saved_questions import FILE, save_question

QUESTION = ({"role": "user", "content": "Who are you? – „äh“"},)
LONGER = (*QUESTION, {"role": "assistant", "content": "I."}, {"role": "user", "content": "Why?"})
PROMPT = ({"role": "system", "content": "Be kind."},)


def test_the_file_is_one_that_a_dataset_is_read_from(tmp_path):
    assert save_question(tmp_path, QUESTION) == 1
    assert save_question(tmp_path, LONGER, PROMPT) == 2
    rows = load_rows(str(tmp_path / FILE))
    assert [(row.messages, row.prefix, row.answered) for row in rows] == [
        (QUESTION, None, False),
        (LONGER, PROMPT, False),
    ]


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / FILE).mkdir()
    with pytest.raises(ResourceError, match="cannot be written"):
        save_question(tmp_path, QUESTION)
