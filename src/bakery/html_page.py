"""The frame of every HTML page: one file that loads nothing and runs nothing. Its styles are in page.css."""

from html import escape
from importlib.resources import files

_FRAME = """\
<!doctype html><html lang="en"><head><meta charset="utf-8">\
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">\
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">\
<title>{title}</title><style>{style}</style></head><body>
{body}
</body></html>
"""


def html_page(title: str, body: str) -> str:
    """A whole page: `title` is text, `body` is HTML."""
    style = files("bakery").joinpath("page.css").read_text(encoding="utf-8")
    return _FRAME.format(title=escape(title), style=style, body=body)
