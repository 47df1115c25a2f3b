"""What the documents name exists: files, folders, settings and links."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")),
    *sorted(path for path in ROOT.glob("docs/**/*.md") if path.name != "LOG.md"),  # the log tells of former files
]
TOP_FOLDERS = "tests|docs|examples|benchmarks|starter|src"
PACKAGE_FOLDERS = "chat|engine|evaluation|report|rows|scoring|settings|sharing|training"


def names(path: Path) -> list[str]:
    return re.findall(r"`([^`\n]+)`", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_and_folder_that_a_document_names_exists(path):
    named = [name.split("::")[0] for name in names(path)]
    if path.name.startswith("0009-"):  # it also names files that are to be
        text = path.read_text(encoding="utf-8")
        named = [name for name in named if f"`{name}` (new)" not in text]
    paths = [ROOT / name for name in named if re.fullmatch(rf"({TOP_FOLDERS})/[\w./-]*", name)]
    paths += [ROOT / "src/bakery" / name for name in named if re.fullmatch(rf"({PACKAGE_FOLDERS})/[\w./-]+\.py", name)]
    missing = [str(path.relative_to(ROOT)) for path in paths if not path.exists()]
    assert not missing


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_within_the_repository_leads_somewhere(path):
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    broken = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert not broken


def test_every_decision_has_a_status():
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(path.name[:4]) for path in decisions] == list(range(1, len(decisions) + 1))
    without = [
        p.name for p in decisions if not re.search(r"^# .+\n\nStatus: (accepted|superseded by \d)", p.read_text())
    ]
    assert not without
