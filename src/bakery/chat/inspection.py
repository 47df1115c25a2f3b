"""`bakery inspect`: the tokens of both views side by side, with what is learned marked; loads no weights.

In colour on a terminal, as plain text elsewhere, or as one page of HTML that loads nothing.
"""

import html
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text as Styled

from bakery.chat.token_kinds import Inspection, Kind, Shown, Token, inspect_views
from bakery.chat.views import view_builder
from bakery.errors import ResourceError
from bakery.html_page import html_page
from bakery.rows.bake_data import BakeData
from bakery.settings.config import ContextConfig

STYLES: dict[Kind, str] = {"context": "", "header": "dim", "target": "bold green", "end": "bold black on green"}
MARKS: dict[Kind, tuple[str, str]] = {"context": ("", ""), "header": ("", ""), "target": ("«", "»"), "end": ("⟦", "⟧")}
EXPLANATIONS: dict[Kind, str] = {
    "context": "words that are only read",
    "header": "written by the chat template, only read",
    "target": "learned",
    "end": "end of the answer, learned",
}
LEGEND = "«learned», ⟦end of the answer, learned⟧, ⏎ newline; everything else is only read"
TITLE = "What the model reads, and what it learns"
ROLES = (
    "The teacher is the model that reads the prompt. The student is the same model without the prompt: it is trained "
    "until it continues at every learned token (a target) as the teacher does. A token is a word or a piece of one."
)
TEMPLATE = "The chat template turns messages into the text that the model reads. What to know about this model's:"
NO_ROWS = (
    "No prompts are given: when the bake starts, the model writes some about the context itself. They will be in "
    "prompts.jsonl of the run's folder; bakery inspect --config FILE --dataset FOLDER/prompts.jsonl shows them."
)
_COLUMNS = {"teacher": "teacher, with the prompt", "student": "student, without it"}

Sampled = tuple[int, int]
"""Of a prompt without an answer: how many the teacher writes, and the most tokens of each."""


def run_inspect(
    tokenizer: Any,
    data: BakeData,
    context: ContextConfig,
    *,
    rows: int = 4,
    html_file: str | Path | None = None,
    sampled: Sampled | None = None,
    console: Console | None = None,
) -> None:
    """Show a few rows of a bake on the console, or write them to a page of HTML.

    `sampled`: what the teacher writes to each row that is only a prompt, where that is known.

    Raises:
        TemplateError: the tokenizer has no usable chat template.
        ResourceError: the page cannot be written.
    """
    builder = view_builder(tokenizer, context, data.prefix)
    inspection = inspect_views(builder, data.train, rows)
    console = console or Console()
    if html_file is not None:
        try:
            Path(html_file).write_text(as_html(inspection, sampled), encoding="utf-8")
        except OSError as error:
            raise ResourceError(f"{html_file}: cannot be written: {error.strerror}; name another file") from None
        console.print(f"{len(inspection.rows)} example(s) written to {html_file}", markup=False, highlight=False)
    elif console.is_terminal:
        console.print(as_rich(inspection, sampled))
    else:
        console.print(as_plain(inspection, sampled), markup=False, highlight=False, soft_wrap=True)


def _visible(text: str) -> str:
    """Text with newlines marked and other control characters spelled out, so that data cannot steer a terminal."""
    return "".join(
        "⏎\n" if c == "\n" else c if c == " " or c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )


def _count(row: Shown, tokens: Sequence[Token]) -> str:
    if row.unanswered:
        begins = "behind the thoughts" if row.answer_only else f"at token {len(tokens) + 1}"
        return f"{len(tokens)} tokens; what is learned begins {begins}"
    targets = sum(token.kind in ("target", "end") for token in tokens)
    return f"{len(tokens)} tokens, {targets} of them learned"


def _coming(row: Shown, sampled: Sampled | None) -> str:
    """What is learned from a row that is only a prompt."""
    learned = "what stands behind the thoughts" if row.answer_only else "every token"
    if sampled is None:
        return f"No answer yet: the teacher writes it when the bake starts, and the student learns {learned} of it."
    answers, tokens = sampled
    several = f"{answers} answers" if answers > 1 else "1 answer"
    each, them = (" each", "them") if answers > 1 else ("", "it")
    return (
        f"No answer yet: the teacher writes {several} of at most {tokens} tokens{each} when the bake starts, and the "
        f"student learns {learned} of {them}."
    )


def _runs(tokens: Sequence[Token]) -> list[tuple[Kind, str]]:
    return [(kind, "".join(token.text for token in run)) for kind, run in groupby(tokens, key=lambda token: token.kind)]


def _remarks(inspection: Inspection) -> list[str]:
    lines = [f"{'warning: ' if check.warns else ''}{check.text}" for check in inspection.template_checks]
    return lines + inspection.notes


def as_plain(inspection: Inspection, sampled: Sampled | None = None) -> str:
    """The inspection as lines of text without colour."""
    lines = [ROLES, f"marks: {LEGEND}", *([] if inspection.rows else ["", NO_ROWS])]
    for row in inspection.rows:
        lines += ["", f"== {_visible(row.source)}"]
        if row.refused:
            lines.append(f"refused: {_visible(row.refused)}")
            continue
        if row.unanswered:
            lines.append(_coming(row, sampled))
        for name, tokens in (("teacher", row.teacher), ("student", row.student)):
            text = "".join(f"{MARKS[kind][0]}{_visible(text)}{MARKS[kind][1]}" for kind, text in _runs(tokens))
            lines += [f"-- {_COLUMNS[name]}: {_count(row, tokens)}", *(f"   {line}" for line in text.split("\n"))]
    return "\n".join([*lines, "", *(_visible(remark) for remark in _remarks(inspection))])


def as_rich(inspection: Inspection, sampled: Sampled | None = None) -> RenderableType:
    """The inspection in colour, teacher and student side by side."""
    parts: list[RenderableType] = [Styled(ROLES), *([] if inspection.rows else [Styled(NO_ROWS)])]
    for row in inspection.rows:
        if row.refused:
            parts.append(Styled.assemble((_visible(row.source), "bold"), ("  refused: ", "red"), _visible(row.refused)))
            continue
        table = Table(title=Styled(_visible(row.source)), title_justify="left", expand=True)
        if row.unanswered:
            table.caption, table.caption_justify = Styled(_coming(row, sampled)), "left"
        cells = []
        for name, tokens in (("teacher", row.teacher), ("student", row.student)):
            table.add_column(f"{_COLUMNS[name]}: {_count(row, tokens)}", ratio=1)
            cells.append(Styled.assemble(*((_visible(text), STYLES[kind]) for kind, text in _runs(tokens))))
        table.add_row(*cells)
        parts.append(table)
    legend = Styled.assemble(*((f" {EXPLANATIONS[kind]} ", style) for kind, style in STYLES.items()))
    remarks = [Styled(_visible(r), "yellow" if r.startswith("warning") else "") for r in _remarks(inspection)]
    return Group(*parts, legend, *remarks)


def as_html(inspection: Inspection, sampled: Sampled | None = None) -> str:
    """The inspection as one page that loads nothing from anywhere."""
    legend = "".join(f'<span class="{kind}">{text}</span> ' for kind, text in EXPLANATIONS.items())
    rows = "\n".join(_row_html(row, sampled) for row in inspection.rows) or f'<p class="coming">{NO_ROWS}</p>'
    remarks = "".join(
        f'<li class="{"warning" if remark.startswith("warning") else "note"}">{html.escape(_visible(remark))}</li>'
        for remark in _remarks(inspection) or ["nothing to note"]
    )
    return html_page(
        TITLE,
        f'<h1>{TITLE}</h1><p class="soft">{ROLES}</p>'
        f'<p class="legend tokens">{legend}</p>'
        f'<p class="soft small">Point at a token to see its number in the vocabulary.</p>\n{rows}\n'
        f'<h2>About the chat template</h2><p class="soft">{TEMPLATE}</p><ul class="findings">{remarks}</ul>',
    )


def _row_html(row: Shown, sampled: Sampled | None) -> str:
    title = f"<h2>{html.escape(_visible(row.source))}</h2>"
    if row.refused:
        return f'{title}\n<p class="refused">refused: {html.escape(_visible(row.refused))}</p>'
    cells = []
    for name, tokens in (("teacher", row.teacher), ("student", row.student)):
        shown = "".join(_token_html(token) for token in tokens)
        count = _count(row, tokens)
        cells.append(
            f'<section><h3>{_COLUMNS[name]} <span>{count}</span></h3><pre class="tokens">{shown}</pre></section>'
        )
    coming = f'<p class="coming">{_coming(row, sampled)}</p>' if row.unanswered else ""
    return f'{title}\n{coming}<div class="views">{"".join(cells)}</div>'


def _token_html(token: Token) -> str:
    return f'<span class="{token.kind}" title="{token.id}">{html.escape(_visible(token.text))}</span>'
