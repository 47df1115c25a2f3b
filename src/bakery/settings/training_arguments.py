"""The fields of transformers' `TrainingArguments`, read from its source text, because importing it imports torch.

So every one of them works under its own name, and a mistyped setting is refused before anything heavy is imported.
A test compares what is read here with the dataclass itself.
"""

import ast
import importlib.util
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from bakery.settings.fields import COMPUTED, Choices, Field, name_of, read_annotation

_FILES = ("training_args.py", "trainer_utils.py", "debug_utils.py")
# What transformers takes although its annotation or its enums do not say so.
_WIDER = {"resume_from_checkpoint": {"bool"}}
_LOG_LEVELS = ("detail", "debug", "info", "warning", "error", "critical", "passive")
_CHOICES = {"log_level": _LOG_LEVELS, "log_level_replica": _LOG_LEVELS}


@cache
def training_fields() -> tuple[Field, ...]:
    """The fields of the installed `TrainingArguments`."""
    spec = importlib.util.find_spec("transformers")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("transformers is not installed")
    folder = Path(spec.origin).parent
    trees = [ast.parse((folder / name).read_text("utf-8")) for name in _FILES]
    enums = {name: words for tree in trees for name, words in _enums(tree)}
    return tuple(_fields(trees[0], enums))


def _enums(tree: ast.Module) -> Iterator[tuple[str, Choices]]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and "ExplicitEnum" in map(name_of, node.bases):
            values = [_literal(item.value) for item in node.body if isinstance(item, ast.Assign)]
            yield node.name, tuple(value for value in values if isinstance(value, str))


def _fields(tree: ast.Module, enums: Mapping[str, Choices]) -> Iterator[Field]:
    (owner,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "TrainingArguments")
    for node in owner.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Call):
            given = {key.arg: key.value for key in node.value.keywords}
            name, default, help = name_of(node.target), _literal(given.get("default")), _help(given.get("metadata"))
            kinds, items, choices = read_annotation(ast.unparse(node.annotation), enums)
            kinds, choices = kinds | _WIDER.get(name, set()), _CHOICES.get(name, choices)
            if _literal(given.get("init")) is not False:
                yield Field(name, "training", kinds, items, choices, default, help)


def _help(metadata: ast.expr | None) -> str:
    """The help text in a field's metadata; what is computed in it is left out."""
    pairs = zip(metadata.keys, metadata.values, strict=True) if isinstance(metadata, ast.Dict) else ()
    texts = [value for key, value in pairs if key is not None and _literal(key) == "help"]
    parts = [part.value for text in texts for part in ast.walk(text) if isinstance(part, ast.Constant)]
    return "".join(part for part in parts if isinstance(part, str))


def _literal(node: ast.expr | None) -> Any:
    try:
        return COMPUTED if node is None else ast.literal_eval(node)
    except ValueError:
        return COMPUTED
