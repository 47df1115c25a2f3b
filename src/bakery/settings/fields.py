"""What one setting is: its type, default, help and example, read from the dataclasses that declare it."""

import ast
import dataclasses
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

Kinds = frozenset[str]  # of: null bool int float str list mapping any
Choices = tuple[str, ...]

_WORDS = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "text",
          "mapping": "a mapping", "any": "anything"}  # fmt: skip
_PLURALS = {"int": "whole numbers", "float": "numbers", "str": "texts", "mapping": "mappings", "list": "lists"}
_KINDS = {"bool": "bool", "int": "int", "float": "float", "str": "str", "list": "list", "List": "list",
          "dict": "mapping", "Dict": "mapping", "Mapping": "mapping", "Any": "any", "None": "null"}  # fmt: skip

if TYPE_CHECKING:
    AutoOrInt = Literal["auto"] | int
else:

    def AutoOrInt(word: str) -> Literal["auto"] | int:
        """`auto` or a whole number; a function since `HfArgumentParser` takes no union of them."""
        return word if word == "auto" else int(word)


_SPELLED_OUT = {"AutoOrInt": 'Literal["auto"] | int'}


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


def setting(default: Any, help: str, example: Any = None, *, aliases: Sequence[str] = ()) -> Any:
    """Declare a setting as a field of a dataclass, in the form that `HfArgumentParser` reads.

    Args:
        default: its value when it is not given; of a list each instance gets a copy.
        help: one sentence.
        example: a value that somebody might set; switches and choices (a `Literal`) need none.
        aliases: other options of the same meaning, such as "--dtype".
    """
    metadata: dict[str, Any] = {"help": _Help(help)}
    metadata["help"].example = example
    if aliases:
        metadata["aliases"] = list(aliases)
    if isinstance(default, list):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def dataclass_fields(owner: type, group: str) -> Iterator[Field]:
    """The settings that a dataclass of ours declares (its annotations are text)."""
    annotations = inspect.get_annotations(owner)  # not `item.type`, which HfArgumentParser overwrites
    for item in dataclasses.fields(owner):
        kinds, items, choices = read_annotation(annotations[item.name])
        help, factory = item.metadata["help"], item.default_factory
        yield Field(
            name=item.name,
            group=group,
            kinds=kinds,
            items=items,
            choices=choices,
            default=item.default if factory is dataclasses.MISSING else factory(),
            help=str(help),
            example=help.example,
            aliases=tuple(alias.lstrip("-") for alias in item.metadata.get("aliases", ())),
        )


def read_annotation(text: str, enums: Mapping[str, Choices] | None = None) -> tuple[Kinds, Kinds, Choices]:
    """The kinds of value that a type annotation allows, the kinds of the items of a list, and the allowed words.

    `text` is the annotation as it is written; `enums` holds the words of each enumeration by its name.
    """
    kinds: set[str] = set()
    items: set[str] = set()
    choices: list[str] = []
    for part in _alternatives(ast.parse(_SPELLED_OUT.get(text, text), mode="eval").body):
        inner = part.slice if isinstance(part, ast.Subscript) else None
        name = name_of(part.value if isinstance(part, ast.Subscript) else part)
        if isinstance(part, ast.Constant) and part.value is None:
            kinds.add("null")
        elif name == "Literal" and inner is not None:
            words = ast.literal_eval(inner)
            words = words if isinstance(words, tuple) else (words,)
            kinds.update(type(word).__name__ for word in words)
            choices += [word for word in words if isinstance(word, str)]
        elif enums and name in enums:
            kinds.add("str")
            choices += enums[name]
        elif name in _KINDS:
            kinds.add(_KINDS[name])
            if _KINDS[name] == "list" and inner is not None:
                items |= read_annotation(ast.unparse(inner), enums)[0]
    return frozenset(kinds), frozenset(items), tuple(choices)


def _alternatives(node: ast.expr) -> list[ast.expr]:
    """The members of a union, however it is written."""
    match node:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            members = [left, right]
        case ast.Subscript(value=value, slice=member) if name_of(value) == "Optional":
            members = [member, ast.Constant(value=None)]
        case ast.Subscript(value=value, slice=ast.Tuple(elts=members)) if name_of(value) == "Union":
            pass
        case _:
            return [node]
    return [part for member in members for part in _alternatives(member)]


def name_of(node: ast.expr) -> str:
    """The name that an expression ends with: `b` for `a.b`; empty where it ends with none."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
