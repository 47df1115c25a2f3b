"""What can be set: every field with its type, default and help, known without importing torch.

The fields of `TrainingArguments` are read from the source text of the installed transformers, so that every one of
them works under its own name and a mistyped setting is refused before anything heavy is imported.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

Kinds = frozenset[str]  # of: null bool int float str list mapping any


class _Computed:
    def __repr__(self) -> str:
        return "(depends on the machine)"


COMPUTED = _Computed()
"""Stands for a default that transformers works out at run time."""


@dataclass(frozen=True, slots=True)
class Field:
    """One setting: where it belongs, what it may hold, what it is when not given."""

    name: str
    owner: str
    group: str
    kinds: Kinds
    items: Kinds
    choices: tuple[str, ...]
    default: Any
    help: str
    aliases: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """Return the allowed values in words, for error messages and the reference page."""
        if self.choices:
            more = [f"... ({len(self.choices)} in all)"] if len(self.choices) > 12 else []
            words = [" | ".join([*self.choices[: 8 if more else None], *more])]
        else:
            words = [_WORDS[kind] for kind in _WORDS if kind in self.kinds and kind not in ("list", "null")]
        if "list" in self.kinds:
            inner = " or ".join(_PLURALS[kind] for kind in _PLURALS if kind in self.items)
            words.append(f"a list of {inner}" if inner else "a list")
        if "null" in self.kinds:
            words.append("null")
        return " or ".join(words)


_WORDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "list": "a list",
    "mapping": "a mapping",
    "any": "anything",
    "null": "null",
}
_PLURALS = {"int": "whole numbers", "float": "numbers", "str": "texts", "mapping": "mappings", "list": "lists"}
_NAMES = {"bool": "bool", "int": "int", "float": "float", "str": "str", "list": "list", "List": "list",
          "dict": "mapping", "Dict": "mapping", "Mapping": "mapping", "Any": "any", "None": "null"}  # fmt: skip

# What transformers takes although its annotation or its enums do not say so.
_ALSO = {"resume_from_checkpoint": "bool"}
_LOG_LEVELS = ("detail", "debug", "info", "warning", "error", "critical", "passive")
_CHOICES = {"log_level": _LOG_LEVELS, "log_level_replica": _LOG_LEVELS}


def read_annotation(text: str, enums: Mapping[str, tuple[str, ...]]) -> tuple[Kinds, Kinds, tuple[str, ...]]:
    """Read a type annotation: what the value may be, what its list items may be, and the allowed words."""
    kinds: set[str] = set()
    items: set[str] = set()
    choices: list[str] = []
    for part in _alternatives(ast.parse(text, mode="eval").body):
        name = _name(part.value if isinstance(part, ast.Subscript) else part)
        if isinstance(part, ast.Constant) and part.value is None:
            kinds.add("null")
        elif name == "Literal" and isinstance(part, ast.Subscript):
            words = ast.literal_eval(part.slice)
            for word in words if isinstance(words, tuple) else (words,):
                kinds.add(type(word).__name__)
                choices += [word] if isinstance(word, str) else []
        elif name in enums:
            kinds.add("str")
            choices += enums[name]
        elif name in _NAMES:
            kinds.add(_NAMES[name])
            if _NAMES[name] == "list" and isinstance(part, ast.Subscript):
                items |= read_annotation(ast.unparse(part.slice), dict.fromkeys(enums, ()))[0]
    return frozenset(kinds), frozenset(items), tuple(choices)


def _alternatives(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        yield from _alternatives(node.left)
        yield from _alternatives(node.right)
    elif isinstance(node, ast.Subscript) and _name(node.value) in ("Optional", "Union"):
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        for part in inner:
            yield from _alternatives(part)
        if _name(node.value) == "Optional":
            yield ast.Constant(value=None)
    else:
        yield node


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def dataclass_fields(owner: type, group: str) -> list[Field]:
    """Return the fields of one of our own dataclasses (their annotations are text)."""
    annotations = inspect.get_annotations(owner)  # not `item.type`, which HfArgumentParser overwrites
    found = []
    for item in dataclasses.fields(owner):
        kinds, items, choices = read_annotation(annotations[item.name], {})
        default = item.default
        if item.default_factory is not dataclasses.MISSING:
            default = item.default_factory()
        found.append(
            Field(
                name=item.name,
                owner=owner.__name__,
                group=group,
                kinds=kinds,
                items=items,
                choices=tuple(item.metadata.get("choices", choices)),
                default=default,
                help=str(item.metadata.get("help", "")),
                aliases=tuple(alias.lstrip("-") for alias in item.metadata.get("aliases", ())),
            )
        )
    return found


@cache
def training_fields() -> tuple[Field, ...]:
    """Return the fields of the installed `TrainingArguments`, read from its source text."""
    spec = importlib.util.find_spec("transformers")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("transformers is not installed")
    folder = Path(spec.origin).parent
    trees = {name: ast.parse((folder / name).read_text("utf-8")) for name in ("training_args.py", "trainer_utils.py")}
    enums = {name: words for tree in trees.values() for name, words in _enums(tree)}
    return tuple(_training_fields(trees["training_args.py"], enums))


def _enums(tree: ast.Module) -> Iterator[tuple[str, tuple[str, ...]]]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and "ExplicitEnum" in map(_name, node.bases):
            values = [item.value for item in node.body if isinstance(item, ast.Assign)]
            constants = [value.value for value in values if isinstance(value, ast.Constant)]
            yield node.name, tuple(value for value in constants if isinstance(value, str))


def _training_fields(tree: ast.Module, enums: Mapping[str, tuple[str, ...]]) -> Iterator[Field]:
    (owner,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "TrainingArguments")
    for node in owner.body:
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Call)):
            continue
        given = {key.arg: key.value for key in node.value.keywords if key.arg}
        name = _name(node.target)
        if not name or (_literal(given.get("init")) is False):
            continue
        kinds, items, choices = read_annotation(ast.unparse(node.annotation), enums)
        yield Field(
            name=name,
            owner="TrainingArguments",
            group="training",
            kinds=kinds | {_ALSO[name]} if name in _ALSO else kinds,
            items=items,
            choices=_CHOICES.get(name, choices),
            default=_literal(given.get("default")),
            help=_help(given.get("metadata")),
        )


def _help(metadata: ast.expr | None) -> str:
    """Return the help text in a field's metadata; what is computed in it is left out."""
    pairs = zip(metadata.keys, metadata.values, strict=True) if isinstance(metadata, ast.Dict) else ()
    found = [value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "help"]
    parts = [part.value for value in found for part in ast.walk(value) if isinstance(part, ast.Constant)]
    return "".join(part for part in parts if isinstance(part, str))


def _literal(node: ast.expr | None) -> Any:
    if node is None:
        return COMPUTED
    try:
        return ast.literal_eval(node)
    except ValueError:
        return COMPUTED
