"""Names in `src/` are the terms of the field or plain English: no private vocabulary, no word with two meanings."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "bakery"

FORBIDDEN = frozenset(
    {"aside", "cast", "certificate", "certificates", "crew", "crews", "exam", "examination", "examinations", "exams"}
    | {"exhibit", "exhibits", "found", "kept", "mould", "moulds", "oddities", "otherwise", "painted", "place", "places"}
    | {"pour", "poured", "quirk", "quirks", "spill", "transparency", "voice", "voices", "watch"}
)
# Names that another library chose: what its classes call, or what a caller of theirs has to write.
WHITELIST: frozenset[str] = frozenset()


def names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Every name that a module defines, with its line: functions, classes, parameters, variables and attributes."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node.lineno
            case ast.arg():
                yield node.arg, node.lineno
            case ast.Name(ctx=ast.Store()):
                yield node.id, node.lineno
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr, node.lineno
            case ast.alias(asname=str(name)):
                yield name, node.lineno
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name, node.lineno


def words(name: str) -> list[str]:
    """The words of an identifier: `_TokenCast` and `token_cast` are both token and cast."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_name_is_of_a_private_vocabulary(path):
    module = [(part, 0) for part in path.relative_to(PACKAGE).with_suffix("").parts]
    defined = [*module, *names(ast.parse(path.read_text(encoding="utf-8")))]
    forbidden = [
        f"{name} (line {line})"
        for name, line in defined
        if name not in WHITELIST and not FORBIDDEN.isdisjoint(words(name))
    ]
    assert not forbidden, f"say what it is: {', '.join(sorted(set(forbidden)))}"


def test_names_are_read_from_every_kind_of_definition():
    source = (
        "import torch as voice\n"
        "class _Cast:\n    place: int\n    def pour(self, crew, *, kept_rows=0): self.spill = lambda exam: exam\n"
        "try: found = [mould for mould in ()]\nexcept OSError as quirk: pass\n"
    )
    defined = {name for name, _ in names(ast.parse(source))}
    expected = {"voice", "cast", "place", "pour", "crew", "kept", "spill", "exam", "found", "mould", "quirk"}
    assert {word for name in defined for word in words(name)} >= expected
