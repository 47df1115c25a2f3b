"""The command of a bake as `bakery taste` was given it, for the prompt as it stands on the page.

What the page shows to be copied and what it bakes by itself are read from the same words.
"""

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bakery.errors import ConfigError
from bakery.rows.conversations import Message
from bakery.settings.catalog import all_fields
from bakery.settings.checks import PREFIX_KEYS, TEMPLATE_KEYS
from bakery.settings.paths import RESULT_FILES
from bakery.settings.reading import Settings, read_command_line, read_settings_file

FOLDER = "outputs/taste"
"""Where the page bakes to, unless `output_dir` is given."""
_OUTPUT = "output_dir"


@dataclass(frozen=True)
class BakeCommand:
    """Words behind `bakery`.

    Args:
        config: a settings file.
        overrides: words that override its settings.
    """

    config: str | None
    overrides: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """As it is typed in a shell."""
        config = () if self.config is None else ("--config", self.config)
        return shlex.join(("bakery", *config, *self.overrides))

    def given(self) -> Settings:
        """The settings that it gives.

        Raises:
            ConfigError: one of them is unknown or of a wrong type.
        """
        base = Settings() if self.config is None else read_settings_file(self.config)
        return base.overridden_by(read_command_line(self.overrides))

    def with_prompt(self, prompt: Sequence[Message] | None, folder: Path) -> "BakeCommand":
        """The same into a folder and, where one is given, with another prompt."""
        replaced = {_OUTPUT} if prompt is None else {_OUTPUT, *PREFIX_KEYS, *TEMPLATE_KEYS}
        words = [word for name, own in _by_setting(self.overrides) if name not in replaced for word in own]
        changed = () if prompt is None else prompt_words(prompt)
        return BakeCommand(self.config, (*words, *changed, *_words(_OUTPUT, str(folder))))

    @property
    def names_folder(self) -> bool:
        """Whether it says where the bake goes."""
        return _OUTPUT in self.given().entries

    def folder(self) -> Path:
        """Where the next bake goes: the folder that is named, or the next one of its name that holds no result.

        Raises:
            ConfigError: a setting is unknown or of a wrong type.
        """
        entries = self.given().entries
        named = entries[_OUTPUT].value if _OUTPUT in entries else None
        first = Path(named or FOLDER).expanduser()
        if "overwrite" in entries and entries["overwrite"].value:
            return first
        return next(folder for folder in _numbered(first) if not any((folder / name).exists() for name in RESULT_FILES))


def prompt_words(prompt: Sequence[Message]) -> tuple[str, ...]:
    """A prompt as words of a command line: as the system prompt where it is one, and is read as that again."""
    messages = [{"role": message["role"], "content": message["content"]} for message in prompt]
    if [message["role"] for message in messages] == ["system"]:
        words = _words("system_prompt", str(messages[0]["content"]))
        try:
            if read_command_line(words).entries["system_prompt"].value == messages[0]["content"]:
                return words
        except ConfigError:
            pass  # a text that would be taken for YAML
    return _words("prefix_messages", json.dumps(messages, ensure_ascii=False))


def _words(name: str, value: str) -> tuple[str, ...]:
    """A setting; a value that looks like an option stands in one word with it."""
    return (f"--{name}={value}",) if value.startswith("-") else (f"--{name}", value)


def _by_setting(words: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """The words of each setting, with its name."""
    names = {alias: item.name for item in all_fields().values() for alias in (item.name, *item.aliases)}
    own: list[str] = []
    for word in (*words, "--"):
        if word.startswith("--") and own:
            key = own[0][2:].partition("=")[0].replace("-", "_")
            yield names.get(key, key), own
            own = []
        own.append(word)


def _numbered(first: Path) -> Iterator[Path]:
    """A folder, and those beside it with a number behind its name."""
    yield first
    number = 1
    while True:
        number += 1
        yield first.with_name(f"{first.name}-{number}")
