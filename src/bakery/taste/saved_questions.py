"""Questions that were asked and are worth another look: lines of a file that `dataset` and `eval_dataset` take."""

import json
from collections.abc import Sequence
from pathlib import Path

from bakery.errors import ResourceError
from bakery.rows.columns import PREFIX_COLUMN
from bakery.rows.conversations import Message

FILE = "questions.jsonl"


def save_question(folder: Path, messages: Sequence[Message], prompt: Sequence[Message] | None = None) -> int:
    """Append a conversation up to its last question; how many the file holds then.

    `prompt`: what the prompted model saw, if that was not what was baked.

    Raises:
        ResourceError: the file cannot be written.
    """
    path = folder / FILE
    row = {"messages": list(messages), **({} if prompt is None else {PREFIX_COLUMN: list(prompt)})}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        return sum(1 for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except OSError as error:
        raise ResourceError(f"{path} cannot be written: {error.strerror}") from error
