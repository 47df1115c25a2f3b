"""What of a run folder is sent, and what stays: without the prompt's words unless they are asked for. Torch-free.

always            adapter, tokenizer, chat template; README.md, report.html and results.json without what quotes the
                  prompt; of bakery.yaml the settings that are numbers, switches or words of a list
with the prompt   the same as they are; inputs/, the rows that were written or sampled, and the answers
never             checkpoints, caches, and whatever a bake does not write
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path, PurePath
from typing import Any

from bakery.errors import ConfigError, ModelError
from bakery.settings.catalog import all_fields
from bakery.settings.documents import dump_yaml, read_document
from bakery.settings.relative_paths import INPUTS, SETTINGS_FILE
from bakery.sharing.quotes import Quotations, json_without, prompt_texts, quotations, read_object
from bakery.text import excerpt

WEIGHTS, ADAPTER, CARD, RESULTS, REPORT = (
    "adapter_model.safetensors", "adapter_config.json", "README.md", "results.json", "report.html"
)  # fmt: skip
_AS_THEY_ARE = (
    WEIGHTS, "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "spiece.model", "chat_template.jinja",
    "generation_config.json", "chat_date.txt",
)  # fmt: skip
_TEMPLATES = "additional_chat_templates"
_WITH_PROMPT = ("prompts.jsonl", "heldout.jsonl", "anchors.jsonl", "trajectories.jsonl", "answers.jsonl")
_REWRITTEN = (ADAPTER, CARD, RESULTS, REPORT, SETTINGS_FILE)
_NAMES_SENT = ("model_name_or_path", "target_modules")
_HUB_CACHE = re.compile(r"models--([^/\\]+?)--([^/\\]+)[/\\]snapshots[/\\]")
_EXAMPLES = re.compile(r'<section class="examples">.*?</section>', flags=re.DOTALL)
_EXAMPLES_HEAD = "Side by side"
_QUESTION = re.compile(r'(print\(ask\(\[\{"role": "user", "content": )".*"(\}\]\))')
_LOADED = re.compile(r'(from_pretrained\(folder := )"[^\n]*"\)')
_BASE_FORMS = ("base_model: {}\n", "`{}`", "baked into {} in ")
"""How card and report write the name of the base."""
_CARD_SENTENCES = {
    ", `answers.jsonl` every answer": "",
    "`bakery.yaml` has the settings.": "`bakery.yaml` has the settings without the prompt.",
    "`bakery.yaml` and `inputs/` hold what that needs.": "The prompt (`--system_prompt`) and rows (`--heldout_file`) "
    "have to be given.",
}


@dataclass(frozen=True)
class Shared:
    """One file that is sent.

    Args:
        name: its path in the repository.
        content: its bytes, or the file that is sent as it is.
        without: what was left out of it, in words; empty where it is sent as it is.
    """

    name: str
    content: bytes | Path
    without: str = ""

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size


@dataclass(frozen=True)
class Selection:
    """What of a folder is sent, and by name why the rest stays."""

    sent: tuple[Shared, ...]
    stays: Mapping[str, str]


@dataclass(frozen=True)
class Base:
    """The base model of an adapter: as its folder names it, and as whoever gets the adapter reads it."""

    given: str
    public: str

    @property
    def is_local(self) -> bool:
        """Whether nobody else can load it by its name."""
        return "/" not in self.public


def base_of_adapter(folder: Path, hub_id: str | None = None) -> Base:
    """The base of the adapter in a folder; `hub_id`: what it is called on the hub, where the folder does not say it.

    A snapshot in the hub's cache is called by its id, any other folder by its last name.

    Raises:
        ModelError: there is no adapter.
        ConfigError: its description cannot be read.
    """
    if not (folder / ADAPTER).is_file() or not (folder / WEIGHTS).is_file():
        raise ModelError(f"{folder}: holds no finished adapter: {ADAPTER} and {WEIGHTS} are needed; bake it first")
    given = str(read_object(folder / ADAPTER).get("base_model_name_or_path") or "")
    cached = _HUB_CACHE.search(given)
    is_folder = PurePath(given).is_absolute() or given.startswith((".", "~")) or Path(given).is_dir()
    public = "/".join(cached.groups()) if cached else PurePath(given).name if is_folder else given
    return Base(given, hub_id or public)


def select(folder: Path, repo_id: str, base: Base, *, include_prompt: bool = False) -> Selection:
    """What of a run folder is sent to `repo_id`.

    Raises:
        ConfigError: a file of the folder cannot be read.
    """
    quoted = quotations(()) if include_prompt else _quotations(folder)
    sent, stays = [], {}
    for path in sorted(folder.iterdir()):
        name = f"{path.name}/" if path.is_dir() else path.name
        if path.name in _REWRITTEN:
            rewritten = _rewritten(path, repo_id, base, quoted, include_prompt)
            if isinstance(rewritten, Shared):
                sent.append(rewritten)
            else:
                stays[name] = rewritten
        elif path.name in _AS_THEY_ARE or path.name == _TEMPLATES or (include_prompt and _holds_prompt(path)):
            sent += [Shared(file.relative_to(folder).as_posix(), file) for file in _files(path)]
        else:
            stays[name] = _reason(path)
    return Selection(tuple(sent), stays)


def _quotations(folder: Path) -> Quotations:
    """What counts as a quotation of a folder's prompt; the clauses that its findings name, as these write them."""
    results = read_object(folder / RESULTS) if (folder / RESULTS).is_file() else {}
    training = results.get("training")
    clauses = training.get("untouched") if isinstance(training, dict) else None
    named = [str(clause) for clause in clauses] if isinstance(clauses, list) else []
    return quotations(prompt_texts(folder), [text for clause in named for text in (clause, excerpt(clause))])


def _holds_prompt(path: Path) -> bool:
    return path.name in (*_WITH_PROMPT, INPUTS)


def _files(path: Path) -> Iterator[Path]:
    yield from sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else (path,)


def _reason(path: Path) -> str:
    if _holds_prompt(path):
        return "may hold the prompt's words; --include_prompt sends it"
    if path.name.startswith("checkpoint-"):
        return "checkpoints are never sent"
    return "not part of what a bake shares"


def _rewritten(path: Path, repo_id: str, base: Base, quoted: Quotations, include_prompt: bool) -> Shared | str:
    """A text file as it is sent, or why it stays."""
    if path.name == SETTINGS_FILE:
        return Shared(path.name, _settings(path, base, include_prompt).encode(), _told(include_prompt, "the prompt"))
    if path.name in (ADAPTER, RESULTS):
        value = read_object(path)
        key = "base_model_name_or_path" if path.name == ADAPTER else "base_model"
        value = json_without(value, quoted) if path.name == RESULTS else value
        text = json.dumps({**value, **({key: base.public} if key in value else {})}, indent=2, ensure_ascii=False)
        return Shared(path.name, f"{text}\n".encode(), _told(include_prompt or path.name == ADAPTER, "quotations"))
    text = path.read_text("utf-8")
    if path.name == CARD:
        text = _LOADED.sub(lambda match: f'{match[1]}"{repo_id}")', text)
        text = _named(text, base, path.parent)
        return Shared(path.name, (text if include_prompt else _card(text, quoted)).encode(),
                      _told(include_prompt, "quotations"))  # fmt: skip
    text = _named(text, base, path.parent)
    if not include_prompt:
        text = _EXAMPLES.sub("", text)
        if _EXAMPLES_HEAD in text:
            return "holds answers and was written by an older version; bakery eval writes a new one"
        text = re.sub(r"(?<=>)[^<]+(?=<)", lambda match: _markup(match[0], quoted), text)
    return Shared(path.name, text.encode(), _told(include_prompt, "answers and quotations"))


def _told(whole: bool, what: str) -> str:
    return "" if whole else f"without {what}"


def _named(text: str, base: Base, folder: Path) -> str:
    """A text with the base's public name for what it is called in the folder, which may be a path of this machine."""
    results = read_object(folder / RESULTS) if (folder / RESULTS).is_file() else {}
    for name in {base.given, str(results.get("base_model", base.given))} - {base.public, ""}:
        forms = ("{}",) if PurePath(name).is_absolute() else _BASE_FORMS
        for form in forms:
            text = text.replace(form.format(name), form.format(base.public))
    return text


def _markup(text: str, quoted: Quotations) -> str:
    """The text between two tags; styles and whatever quotes nothing stay as they are written."""
    plain = unescape(text)
    public = quoted.without(plain)
    return text if public == plain else escape(public)


def _card(text: str, quoted: Quotations) -> str:
    for sentence, public in _CARD_SENTENCES.items():
        text = text.replace(sentence, public)
    return quoted.without(_QUESTION.sub(r'\1"Who are you?"\2', text))


def _settings(path: Path, base: Base, include_prompt: bool) -> str:
    """bakery.yaml: all of it, or the settings in which no text can be."""
    values: Any = read_document(path).value
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must hold settings")
    values = {**values, **({"model_name_or_path": base.public} if "model_name_or_path" in values else {})}
    if not include_prompt:
        values = {key: value for key, value in values.items() if _has_no_text(key)} | {"keep_prompt": False}
    return f"# Settings of a bake{'' if include_prompt else ', without its prompt and rows'}\n\n{dump_yaml(values)}"


def _has_no_text(key: str) -> bool:
    item = all_fields().get(key)
    if item is None:
        return False
    no_text = item.kinds | item.items <= {"bool", "int", "float", "list", "null"}
    return key in _NAMES_SENT or bool(item.choices) or (no_text and ("list" not in item.kinds or bool(item.items)))
