"""Strict YAML 1.2 and JSON documents: every key with its line, doubled keys refused, sizes and depths bounded."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bakery.errors import BakeryError, ConfigError
from bakery.settings.files import read_text
from bakery.text import excerpt

MAX_BYTES = 4_000_000
MAX_DEPTH = 40

_TAG = "tag:yaml.org,2002:"
_FLOAT = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
# The scalars of YAML 1.2's core schema that are not text: what they look like, and their first characters.
_SCALARS = {
    "bool": (r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", [*"-+0123456789"]),
    "float": (_FLOAT, [*"-+0123456789."]),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
}
_PARTS_BETWEEN = re.compile(r"[ \t\r\n,:]*")


@dataclass(frozen=True, slots=True)
class Document:
    """What a file holds, and the line of each key of its outermost mapping."""

    value: Any
    lines: Mapping[str, int] = field(default_factory=dict)


def _refusal(problem: str, node: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core schema: no dates, no octal surprises, no yes/no booleans, no anchors, no tags."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012
    depth = 0
    in_text = False

    def scan_plain(self) -> yaml.ScalarToken:
        """Read unquoted text; as in YAML 1.2 it may hold question marks, also inside [...]."""
        self.in_text = True
        token = super().scan_plain()
        self.in_text = False
        return token

    def peek(self, index: int = 0) -> str:
        """Look at a character ahead."""
        character: str = super().peek(index)
        return "-" if character == "?" and self.in_text else character

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _refusal("anchors and aliases (& and *) are not supported; write the value out", event)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _refusal(f"nested deeper than {MAX_DEPTH} levels", event)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        first: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _refusal("a key must be a plain word", key)
            if key.value in first:
                raise _refusal(f"duplicate key {key.value!r}, first on line {first[key.value]}; keep one", key)
            first[key.value] = key.start_mark.line + 1
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}


def _construct_int(loader: _Loader, node: yaml.ScalarNode) -> int:
    return int(node.value, {"0o": 8, "0x": 16}.get(node.value[:2], 10))


class _Dumper(yaml.SafeDumper):
    """Quotes what any YAML, 1.1 or 1.2, would take for something else than text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text and not text[:1].isspace() else None
    return dumper.represent_scalar(f"{_TAG}str", text, style='"' if re.search("[\x85\u2028\u2029]", text) else style)


for _name, (_pattern, _first) in _SCALARS.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(f"{_TAG}{_name}", re.compile(rf"^(?:{_pattern})$"), _first)
_Loader.add_constructor(f"{_TAG}int", _construct_int)
_Dumper.add_representer(str, _represent_text)


def dump_yaml(value: Any, flow: bool = False) -> str:
    """Write plain values as YAML that `parse_yaml` reads back unchanged; `flow` puts all on one line."""
    shown, width = ([value], math.inf) if flow else (value, 110)
    text: str = yaml.dump(
        shown, Dumper=_Dumper, default_flow_style=flow, sort_keys=False, allow_unicode=True, width=width
    )
    return text.strip()[1:-1] if flow else text


def read_document(path: str | Path) -> Document:
    """Read a `.yaml`, `.yml` or `.json` file.

    Raises:
        ConfigError: the file is missing, unreadable, empty, not UTF-8 or malformed; the message names file and line.
    """
    text, suffix = read_text(path, ConfigError, MAX_BYTES), Path(path).suffix.lower()
    if suffix not in (".yaml", ".yml", ".json"):
        raise ConfigError(f"{path}: must be a .yaml, .yml or .json file")
    return parse_json(text, str(path)) if suffix == ".json" else parse_yaml(text, str(path))


def parse_yaml(text: str, name: str) -> Document:
    """Parse one YAML document; `name` stands for it in messages.

    Raises:
        ConfigError: the text is empty or malformed; the message names the line where it is known.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        value = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        location = f"{name} line {mark.line + 1}" if mark else name
        raise ConfigError(f"{location}: {_sentence(problem)}") from problem
    except (yaml.YAMLError, RecursionError, ValueError) as problem:
        raise ConfigError(f"{name}: cannot be read as YAML: {' '.join(str(problem).split())[:200]}") from problem
    if node is None:
        raise ConfigError(f"{name}: is empty")
    keys = [key for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
    return Document(value, {key.value: key.start_mark.line + 1 for key in keys})


def _sentence(problem: yaml.MarkedYAMLError) -> str:
    text = problem.problem or problem.context or "cannot be read as YAML"
    if "could not determine a constructor" in text:
        return "tags (!...) are not supported; write a plain value"
    if "expected a single document" in (problem.context or ""):
        return "holds more than one document (---); keep one"
    if "mapping values are not allowed" in text:
        return "not valid YAML: a second colon on the line; put a value with a colon in quotes, or correct the indent"
    if "found character '\\t'" in text:
        return "not valid YAML: indented by a tab; use spaces"
    return text if "support" in text or "duplicate" in text or "nested" in text else f"not valid YAML: {text}"


def parse_inline(word: str, location: str) -> Any:
    """Parse one word of a command line as YAML, so that [a, b], {k: v}, null and 1e-4 mean what they mean there."""
    try:
        return parse_yaml(word, location).value
    except ConfigError as problem:
        raise ConfigError(f"{location}: cannot read {excerpt(word)!r}: {str(problem).partition(': ')[2]}") from problem


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key, value in pairs:
        if key in mapping:
            raise ValueError(f"duplicate key {key!r}; keep one")
        mapping[key] = value
    return mapping


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is not a number in JSON")


def _number(word: str) -> float:
    value = float(word)
    if math.isinf(value):
        raise ValueError(f"the number {excerpt(word)} is too large")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_number)


def parse_json(text: str, name: str, error: type[BakeryError] = ConfigError) -> Document:
    """Parse one JSON document strictly: no duplicate keys, no NaN; `name` stands for it in messages.

    Raises:
        error: the text is malformed or nested too deeply; the message names the line where it is known.
    """
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as problem:
        raise error(f"{name} line {problem.lineno}: invalid JSON: {problem.msg} (column {problem.colno})") from problem
    except ValueError as problem:
        raise error(f"{name}: {problem}") from problem
    except RecursionError as problem:
        raise error(f"{name}: nested too deeply") from problem
    return Document(value, _key_lines(text) if isinstance(value, dict) else {})


def _key_lines(text: str) -> dict[str, int]:
    """The line of each key of the outermost object of a valid JSON text."""

    def skip(position: int) -> int:
        return _PARTS_BETWEEN.match(text, position).end()  # type: ignore[union-attr]

    lines: dict[str, int] = {}
    position = skip(text.index("{") + 1)
    while text[position] != "}":
        key, end = _DECODER.raw_decode(text, position)
        lines[key] = text.count("\n", 0, position) + 1
        position = skip(_DECODER.raw_decode(text, skip(end))[1])
    return lines
