"""The house: every module has a floor, imports go down only, and what must stay light stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "bakery"

# From the cellar up. Modules on one floor may import each other, but never in a circle.
FLOORS: dict[str, tuple[str, ...]] = {
    "words": ("errors", "progress", "documents", "fields", "checks", "config", "arguments", "settings", "places", "reference", "scoring", "schemas", "rules"),
    "text": ("sources", "columns", "knowledge", "data", "limits", "rendering", "spans", "views", "inspection", "packing", "probes"),
    "maths": ("divergence", "attending", "models", "estimates"),
    "actors": ("attention", "batches", "crew", "forward", "prefix", "sampling", "store", "teacher", "engine"),
    "acts": ("callbacks", "checkpoints", "preparation", "trainer", "evaluation", "economics", "proof", "gallery", "proving", "findings", "stopping", "merging"),
    "roof": ("report", "outputs", "bake", "cli", "__main__", "__init__", "results", "summary", "charts", "page", "reproof"),
}  # fmt: skip
LEVEL = {module: level for level, modules in enumerate(FLOORS.values()) for module in modules}
TORCH_FREE = ("cli", "errors", "config", "settings", "documents", "checks", "fields", "places", "data", "knowledge")


def modules() -> list[str]:
    return sorted(path.stem for path in PACKAGE.glob("*.py"))


def imports(module: str) -> set[str]:
    """Modules of this package that a module imports anywhere, inside functions too; annotations alone do not count."""
    tree = ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))
    typing_only = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and isinstance(branch.test, ast.Name) and branch.test.id == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("bakery."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found.update(a.name.split(".")[1] for a in node.names if a.name.startswith("bakery."))
    return found


def test_every_module_has_a_floor_and_every_floor_is_lived_in():
    assert set(modules()) == set(LEVEL)


@pytest.mark.parametrize("module", modules())
def test_imports_go_down_only(module):
    climbing = {other for other in imports(module) if LEVEL[other] > LEVEL[module]}
    if module == "config":
        climbing -= {"arguments"}
    assert not climbing, f"{module} imports from a higher floor: {sorted(climbing)}"


def test_no_circle_of_imports():
    # `config.BakeryConfig` is looked up lazily in `arguments`, which builds on `config`: the one name that needs torch.
    edges = {module: imports(module) - ({"arguments"} if module == "config" else set()) for module in modules()}
    finished: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path[path.index(module) :], module))
        if module not in finished:
            for other in edges[module]:
                visit(other, (*path, module))
            finished.add(module)

    for module in edges:
        visit(module, ())


@pytest.mark.parametrize("module", TORCH_FREE)
def test_light_modules_import_no_torch(module):
    code = f"import sys, bakery.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_module_is_a_hall():
    long = {path.name: count for path in PACKAGE.glob("*.py") if (count := len(path.read_text().splitlines())) > 450}
    assert not long, f"grown past one idea: {long}"
