"""The house: every folder is a floor, imports go down only, and what must stay light stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "bakery"

# From the cellar up: folders, and the modules that stand beside them. A module imports from its own floor or from
# floors below, never in a circle.
FLOORS = (
    ("errors", "progress", "text"),
    ("scoring",),
    ("settings",),
    ("rows",),
    ("chat",),
    ("engine",),
    ("training",),
    ("evaluation",),
    ("report",),
    ("bake", "evaluate", "cli", "__main__", "__init__"),
)
LEVEL = {name: level for level, names in enumerate(FLOORS) for name in names}
TORCH_FREE = (
    "cli",
    "errors",
    "settings.config",
    "settings.build",
    "settings.paths",
    "rows.bake_data",
)


def modules() -> list[str]:
    """Dotted names inside the package: `errors`, `engine.attention`; a folder's own docstring file is left out."""
    paths = [p.relative_to(PACKAGE).with_suffix("") for p in PACKAGE.rglob("*.py")]
    return sorted(".".join(path.parts) for path in paths if path.name != "__init__" or len(path.parts) == 1)


def imports(module: str) -> set[str]:
    """Modules of this package that a module imports anywhere, inside functions too; annotations alone do not count."""
    path = PACKAGE.joinpath(*module.split(".")).with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
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
            name = node.module.removeprefix("bakery.")
            folder = (PACKAGE / name).is_dir()
            found.update(f"{name}.{alias.name}" for alias in node.names) if folder else found.add(name)
        elif isinstance(node, ast.Import):
            found.update(a.name.removeprefix("bakery.") for a in node.names if a.name.startswith("bakery."))
    return found


def test_every_module_stands_on_a_floor_and_every_floor_is_lived_in():
    assert {module.split(".")[0] for module in modules()} == set(LEVEL)


@pytest.mark.parametrize("module", modules())
def test_imports_go_down_only(module):
    own = LEVEL[module.split(".")[0]]
    climbing = {other for other in imports(module) if LEVEL[other.split(".")[0]] > own}
    assert not climbing, f"{module} imports from a higher floor: {sorted(climbing)}"


def test_no_circle_of_imports():
    finished: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path[path.index(module) :], module))
        if module not in finished:
            for other in imports(module):
                visit(other, (*path, module))
            finished.add(module)

    for module in modules():
        visit(module, ())


@pytest.mark.parametrize("module", TORCH_FREE)
def test_light_modules_import_no_torch(module):
    code = f"import sys, bakery.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_module_is_a_hall():
    long = {path.name: count for path in PACKAGE.rglob("*.py") if (count := len(path.read_text().splitlines())) > 450}
    assert not long, f"grown past one idea: {long}"


def test_the_readme_shows_every_room():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [module for module in modules() if f"{module.split('.')[-1]}.py" not in readme]
    assert not missing, f"not in README's tree: {missing}"
