"""A row and its prefix to two conversations: what the teacher is shown and what the student is shown.

- The teacher sees the prefix, then the row. If both bring a system message, the teacher's is the prefix's text, a
  blank line, and the row's; the student keeps the row's own. A row's system message goes before few-shot turns.
- The student sees the last `retained` messages of the prefix, then the row.
- A row without any prefix and `retained` N > 0 is its own context: the teacher sees all of it, the student its last
  N messages, and targets are taken from those.
- An anchor is a row that both see alike, without any prefix: behaviour there must not change.
- Tools of a prefix are shown to the teacher only, those of a row to both; the teacher sees the prefix's first.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from bakery.chat.rendering import Message, content_of, plain_messages
from bakery.errors import ViewError
from bakery.rows.tools import joined_tools, split_tools
from bakery.settings.tools import Tool


@dataclass(frozen=True, slots=True)
class Context:
    """Both conversations of a row; their last `shared` messages are the row's own, seen by both.

    `prefix` are the messages that the teacher sees before the row, `prefix_key` names them. Messages of a conversation
    that are the prefix's own, untouched, are the same objects.
    """

    teacher: list[Message]
    student: list[Message]
    shared: int
    prefix: Sequence[Message]
    prefix_key: str
    teacher_tools: tuple[Tool, ...] = ()
    student_tools: tuple[Tool, ...] = ()

    @property
    def anchor(self) -> bool:
        """Whether both are the same conversation."""
        return self.teacher is self.student


@dataclass(frozen=True, slots=True)
class ContextRules:
    """How rows and prefixes become conversations, with the settings of one bake; a prefix holds its tools itself."""

    prefix: Sequence[Message] = ()
    retained: int = 0
    fold: bool = False
    empty_system: bool = False
    prefix_key: str = field(default="", init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "prefix_key", key_of(self.prefix))

    def context(
        self, row: list[Message], own: Sequence[Message] | None, tools: tuple[Tool, ...] = (), *, anchor: bool
    ) -> Context:
        """Both conversations of `row`, which has these tools; `own` is its prefix, None where the common one applies.

        Raises:
            ViewError: both would be the same.
        """
        if not row:
            raise ViewError("the row has no messages; give at least one")
        if anchor:
            alone = self._student([], row)
            return Context(alone, alone, len(row), (), "", tools, tools)
        prefix = self.prefix if own is None else plain_messages(own, "prefix_messages")
        if not prefix:
            return self._own_context(row, tools)
        if self.retained >= len(prefix):
            raise ViewError(
                f"nothing to bake: student_retained_turns {self.retained} covers all {len(prefix)} prefix message(s); "
                "make it smaller"
            )
        shared = len(row) - (row[0]["role"] == "system")
        key = self.prefix_key if own is None and not tools else key_of([*prefix, *tools])
        shown, teacher_tools = split_tools(prefix)
        retained = shown[max(0, len(shown) - self.retained) :]
        teacher, student = self._folded(_joined(shown, row)), self._student(retained, row)
        return Context(teacher, student, shared, shown, key, joined_tools(teacher_tools, tools), tools)

    def _own_context(self, row: list[Message], tools: tuple[Tool, ...]) -> Context:
        """The row's earlier messages are what the teacher sees and the student does not."""
        if not 0 < self.retained < len(row):
            smaller = ", or a smaller number" if self.retained else ""
            raise ViewError(
                f"nothing to bake: the row has no prefix and student_retained_turns is {self.retained} for "
                f"{len(row)} message(s), so teacher and student see the same; give prefix_messages{smaller}"
            )
        earlier, own = row[: -self.retained], row[-self.retained :]
        key = key_of([*earlier, *tools])
        return Context(self._folded(row), self._student([], own), self.retained, (), key, tools, tools)

    def _student(self, retained: Sequence[Message], row: list[Message]) -> list[Message]:
        messages = _joined(retained, row)
        if self.empty_system and messages[0]["role"] != "system":
            messages = [{"role": "system", "content": ""}, *messages]
        return self._folded(messages)

    def _folded(self, messages: list[Message]) -> list[Message]:
        """With `fold`, put the text of system messages before the next user message, a blank line between."""
        if not self.fold:
            return messages
        folded: list[Message] = []
        waiting: list[str] = []
        for message in messages:
            if message["role"] == "system":
                waiting += [text] if (text := content_of(message)) else []
            elif message["role"] == "user" and waiting:
                folded.append({**message, "content": "\n\n".join([*waiting, content_of(message)])})
                waiting = []
            else:
                folded.append(message)
        if waiting:
            raise ViewError("system_role: fold needs a user message behind every system message; add one")
        return folded


def _joined(prefix: Sequence[Message], row: list[Message]) -> list[Message]:
    """The prefix before the row, with at most one system message at the front."""
    if not prefix or row[0]["role"] != "system":
        return [*prefix, *row]
    own, rest = row[0], row[1:]
    if prefix[0]["role"] != "system":
        return [own, *prefix, *rest]
    both = "\n\n".join(text for text in (content_of(prefix[0]), content_of(own)) if text)
    return [{**prefix[0], "content": both}, *prefix[1:], *rest]


def key_of(messages: Sequence[Message]) -> str:
    """A short name that equal messages share; empty for none."""
    if not messages:
        return ""
    text = json.dumps(list(messages), sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
