"""The shape of the package: imports go down only, light modules stay light, nothing grows too long, all is tested."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "bakery"

# From the lowest up: folders, and the modules beside them. A module imports from its own floor or from floors below,
# never in a circle.
FLOORS = (
    ("child_process", "errors", "html_page", "interruption", "manifest", "progress", "resources", "text"),
    ("scoring",),
    ("settings",),
    ("sharing",),
    ("rows",),
    ("chat",),
    ("engine",),
    ("training",),
    ("writing",),
    ("evaluation",),
    ("forecast",),
    ("report",),
    ("exporting",),
    ("serving",),
    ("starting",),
    ("baking", "compare", "evaluate", "export", "serve", "library", "command_line", "completion"),
    ("taste",),
    ("verbs",),
    ("cli", "__main__", "__init__"),
)
LEVEL = {name: level for level, names in enumerate(FLOORS) for name in names}
TORCH_FREE = (
    "cli",
    "command_line",
    "errors",
    "exporting.request",
    "settings.config",
    "settings.build",
    "settings.paths",
    "rows.bake_data",
    "forecast.figures",
    "forecast.memory",
    "forecast.words",
    "completion",
    "sharing.selection",
    "sharing.upload",
)


def modules() -> list[str]:
    """Dotted names inside the package: `errors`, `engine.attention`; a folder's own docstring file is left out."""
    paths = [p.relative_to(PACKAGE).with_suffix("") for p in PACKAGE.rglob("*.py")]
    return sorted(".".join(path.parts) for path in paths if path.name != "__init__" or len(path.parts) == 1)


def parsed(module: str) -> ast.Module:
    """A module's syntax tree."""
    return ast.parse(PACKAGE.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8"))


def imports(module: str) -> set[str]:
    """Modules of this package that a module imports anywhere, inside functions too; annotations alone do not count."""
    tree = parsed(module)
    typing_only = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and isinstance(branch.test, ast.Name) and branch.test.id == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    imported = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("bakery."):
            name = node.module.removeprefix("bakery.")
            folder = (PACKAGE / name).is_dir()
            imported.update(f"{name}.{alias.name}" for alias in node.names) if folder else imported.add(name)
        elif isinstance(node, ast.Import):
            imported.update(a.name.removeprefix("bakery.") for a in node.names if a.name.startswith("bakery."))
    return imported


def test_every_module_has_a_floor_and_every_floor_has_a_module():
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


def test_no_file_has_more_than_400_lines():
    files = [path for folder in ("src", "tests", "benchmarks", "starter") for path in (ROOT / folder).rglob("*.py")]
    long = {str(p.relative_to(ROOT)): lines for p in files if (lines := len(p.read_text("utf-8").splitlines())) > 400}
    assert not long, f"more than one idea: {long}"


@pytest.mark.parametrize("module", modules())
def test_no_function_has_more_than_60_lines(module):
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    long = {
        node.name: length
        for node in ast.walk(parsed(module))
        if isinstance(node, functions) and (length := (node.end_lineno or 0) - node.lineno + 1) > 60
    }
    assert not long, f"more than one thing: {long}"


@pytest.mark.parametrize("module", [module for module in modules() if not module.startswith("__")])
def test_every_module_has_a_test_file_of_its_name(module):
    *folders, name = module.split(".")
    expected = ROOT.joinpath("tests", *folders, f"test_{name}.py")
    assert expected.is_file(), f"{expected.relative_to(ROOT)} does not exist"


def readme_tree() -> set[str]:
    """The package's folders (`engine/`) and modules (`engine/session.py`) as README's tree draws them."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```text\nsrc/bakery/\n((?: .*\n)+)", readme, flags=re.MULTILINE)
    drawn: set[str] = set()
    folders: list[str] = []
    for line in block.splitlines():
        indent = len(line) - len(line.lstrip())
        name = line.split()[0]
        folders = folders[: indent // 2 - 1]
        drawn.add("".join([*folders, name]))
        if name.endswith("/"):
            folders.append(name)
    return drawn


def test_the_readme_draws_every_folder_and_module_where_it_is_and_no_other():
    files = {f"{module.replace('.', '/')}.py" for module in modules()}
    folders = {
        f"{path.parent.relative_to(PACKAGE)}/" for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE
    }
    actual = files | folders
    drawn = readme_tree()
    assert drawn == actual, f"missing: {sorted(actual - drawn)}; not there: {sorted(drawn - actual)}"
