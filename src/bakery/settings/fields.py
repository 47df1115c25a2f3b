"""What one setting is: its type, default, help and example, read from the dataclasses that declare it."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Kinds = frozenset[str]  # of: null bool int float str list mapping any
Choices = tuple[str, ...]

_WORDS = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "text",
          "mapping": "a mapping", "any": "anything"}  # fmt: skip
_PLURALS = {"int": "whole numbers", "float": "numbers", "str": "texts", "mapping": "mappings", "list": "lists"}
_KINDS = {"bool": "bool", "int": "int", "float": "float", "str": "str", "list": "list", "List": "list",
          "dict": "mapping", "Dict": "mapping", "Mapping": "mapping", "Any": "any", "None": "null"}  # fmt: skip


class _Computed:
    def __repr__(self) -> str:
        return "(depends on the machine)"


COMPUTED = _Computed()
"""Stands for a default that transformers works out at run time."""


@dataclass(frozen=True, slots=True)
class Field:
    """One setting: what it may hold, what it is when not given, and the group it is documented in."""

    name: str
    group: str
    kinds: Kinds
    items: Kinds
    choices: Choices
    default: Any
    help: str
    example: Any = None
    aliases: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """The allowed values in words, for error messages and the reference page."""
        if self.choices:
            more = [f"... ({len(self.choices)} in all)"] if len(self.choices) > 12 else []
            words = [" | ".join([*self.choices[: 8 if more else None], *more])]
        else:
            words = [word for kind, word in _WORDS.items() if kind in self.kinds]
        if "list" in self.kinds:
            inner = " or ".join(word for kind, word in _PLURALS.items() if kind in self.items)
            words.append(f"a list of {inner}" if inner else "a list")
        if "null" in self.kinds:
            words.append("null")
        return " or ".join(words)


class _Help(str):
    """A help text with an example; under a key of its own `HfArgumentParser` would hand the example to argparse."""

    example: Any = None


def setting(
    default: Any, help: str, example: Any = None, *, choices: Sequence[str] = (), aliases: Sequence[str] = ()
) -> Any:
    """Declare a setting as a field of a dataclass, in the form that `HfArgumentParser` reads.

    Args:
        default: its value when it is not given; of a list each instance gets a copy.
        help: one sentence.
        example: a value that somebody might set; switches and choices need none.
        choices: the allowed words.
        aliases: other options of the same meaning, such as "--dtype".
    """
    metadata: dict[str, Any] = {"help": _Help(help)}
    metadata["help"].example = example
    metadata |= {name: list(words) for name, words in (("choices", choices), ("aliases", aliases)) if words}
    if isinstance(default, list):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def dataclass_fields(owner: type, group: str) -> list[Field]:
    """The settings that a dataclass of ours declares (its annotations are text)."""
    annotations = inspect.get_annotations(owner)  # not `item.type`, which HfArgumentParser overwrites
    return [_field(item, annotations[item.name], group) for item in dataclasses.fields(owner)]


def _field(item: dataclasses.Field[Any], annotation: str, group: str) -> Field:
    kinds, items, choices = read_annotation(annotation)
    factory, help = item.default_factory, item.metadata["help"]
    return Field(
        name=item.name,
        group=group,
        kinds=kinds,
        items=items,
        choices=tuple(item.metadata.get("choices", choices)),
        default=item.default if factory is dataclasses.MISSING else factory(),
        help=str(help),
        example=help.example,
        aliases=tuple(alias.lstrip("-") for alias in item.metadata.get("aliases", ())),
    )


def read_annotation(text: str, enums: Mapping[str, Choices] | None = None) -> tuple[Kinds, Kinds, Choices]:
    """The kinds of value that a type annotation allows, the kinds of the items of a list, and the allowed words.

    Args:
        text: the annotation as it is written.
        enums: the words of each enumeration by its name.
    """
    enums = enums or {}
    kinds: set[str] = set()
    items: set[str] = set()
    choices: list[str] = []
    for part in _alternatives(ast.parse(text, mode="eval").body):
        name = name_of(part.value if isinstance(part, ast.Subscript) else part)
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
        elif name in _KINDS:
            kinds.add(_KINDS[name])
            if _KINDS[name] == "list" and isinstance(part, ast.Subscript):
                items |= read_annotation(ast.unparse(part.slice), enums)[0]
    return frozenset(kinds), frozenset(items), tuple(choices)


def _alternatives(node: ast.expr) -> Iterator[ast.expr]:
    """The members of a union, however it is written."""
    inner: list[ast.expr] = []
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        inner = [node.left, node.right]
    elif isinstance(node, ast.Subscript) and name_of(node.value) == "Optional":
        inner = [node.slice, ast.Constant(value=None)]
    elif isinstance(node, ast.Subscript) and name_of(node.value) == "Union":
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    for part in inner:
        yield from _alternatives(part)
    if not inner:
        yield node


def name_of(node: ast.expr) -> str:
    """The name that an expression ends with: `b` for `a.b`; empty where it ends with none."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
