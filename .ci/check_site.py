"""The pages of the documentation site load nothing from elsewhere, and those of the navigation are there."""

import re
import sys
from pathlib import Path

LOADS = re.compile(r"""<(?:script|img|iframe|link(?![^>]*rel="canonical"))[^>]*?(?:src|href)=["']?(https?:)?//""")
IN_STYLES = re.compile(r"""@import|url\(["']?(?:https?:)?//""")


def main(folder: Path) -> None:
    """Check every page and style sheet; an assertion that fails says what is wrong."""
    pages, styles = list(folder.rglob("*.html")), list(folder.rglob("*.css"))
    assert len(pages) > 10, f"{folder} holds no site"
    loading = [str(path) for path in pages if LOADS.search(path.read_text("utf-8"))]
    loading += [str(path) for path in styles if IN_STYLES.search(path.read_text("utf-8"))]
    assert not loading, f"load from elsewhere: {loading}"
    print(f"{folder}: {len(pages)} pages, which load nothing from elsewhere")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
