"""`bakery inspect`: the tokens of both views side by side, with what is learned marked; loads no weights.

Rows are shown in four kinds of tokens: words that are context, headers (what the template writes around words),
targets, and end-of-turn tokens that are targets. In colour on a terminal, as plain text elsewhere, or as one page of
HTML that loads nothing.
"""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Literal, cast

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text as Styled

from bakery.chat.encoding import Text
from bakery.chat.rendering import Message, plain_messages
from bakery.chat.spans import Part, sentinels
from bakery.chat.targets import positions
from bakery.chat.template_checks import TemplateCheck, check_template
from bakery.chat.views import ViewBuilder
from bakery.errors import BakeryError, ResourceError
from bakery.rows.bake_data import BakeData
from bakery.rows.conversations import Conversation
from bakery.settings.config import ContextConfig

Kind = Literal["context", "header", "target", "end"]
STYLES: dict[Kind, str] = {"context": "", "header": "dim", "target": "bold green", "end": "bold black on green"}
MARKS: dict[Kind, tuple[str, str]] = {"context": ("", ""), "header": ("", ""), "target": ("«", "»"), "end": ("⟦", "⟧")}
LEGEND = "context, header, «target», ⟦end of turn that is a target⟧, ⏎ newline"


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its id, the characters it stands for, and what it is to the bake."""

    id: int
    text: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Shown:
    """One example of a row as both views, or why the row is refused."""

    source: str
    teacher: Sequence[Token] = ()
    student: Sequence[Token] = ()
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Inspection:
    """Everything `bakery inspect` shows."""

    rows: list[Shown]
    template_checks: list[TemplateCheck]
    notes: list[str]


def inspect_views(builder: ViewBuilder, conversations: Iterable[Conversation], rows: int = 4) -> Inspection:
    """Look at the first `rows` conversations as `builder` shows them.

    Raises:
        TemplateError: the tokenizer has no usable chat template.
    """
    template_checks = check_template(builder.renderer.tokenizer, builder.renderer.kwargs)
    shown = [example for row in islice(conversations, rows) for example in _shown(builder, row)]
    return Inspection(shown, template_checks, builder.remarks())


def run_inspect(
    tokenizer: Any,
    data: BakeData,
    context: ContextConfig,
    *,
    rows: int = 4,
    html_file: str | Path | None = None,
    console: Console | None = None,
) -> None:
    """Show a few rows of a bake on the console, or write them to a page of HTML.

    Raises:
        TemplateError: the tokenizer has no usable chat template.
        ResourceError: the page cannot be written.
    """
    builder = ViewBuilder(
        tokenizer,
        prefix_messages=data.prefix,
        student_retained_turns=context.student_retained_turns,
        target_roles=context.target_roles,
        target_content_pattern=context.target_content_pattern,
        target_span_pattern=context.target_span_pattern,
        system_role=cast(Any, context.system_role),
        student_system=cast(Any, context.student_system),
        chat_template_kwargs=context.chat_template_kwargs,
    )
    inspection = inspect_views(builder, data.train, rows)
    console = console or Console()
    if html_file is not None:
        try:
            Path(html_file).write_text(as_html(inspection), encoding="utf-8")
        except OSError as error:
            raise ResourceError(f"{html_file}: cannot be written: {error.strerror}; name another file") from None
        console.print(f"{len(inspection.rows)} example(s) written to {html_file}", markup=False, highlight=False)
    elif console.is_terminal:
        console.print(as_rich(inspection))
    else:
        console.print(as_plain(inspection), markup=False, highlight=False, soft_wrap=True)


def _shown(builder: ViewBuilder, conversation: Conversation) -> list[Shown]:
    try:
        if not conversation.answered:
            return [_prompt(builder, conversation)]
        builder.views(conversation)
        examples = builder.examples(conversation)[1]
        return [
            Shown(conversation.source, _tokens(builder, teacher), _tokens(builder, student))
            for teacher, student in examples
        ]
    except BakeryError as error:
        place = conversation.source
        return [Shown(place, refused=str(error).removeprefix(f"{place}: "))]


def _prompt(builder: ViewBuilder, conversation: Conversation) -> Shown:
    """A row that the teacher is to answer: both views up to the generation prompt."""
    builder.prompts(conversation)
    context = builder.rules.context(plain_messages(conversation.messages), conversation.prefix, anchor=False)
    parts = [
        Part(messages, builder.renderer.render(messages, generation_prompt=True), [])
        for messages in (context.teacher, context.student)
    ]
    teacher, student = (_tokens(builder, part) for part in parts)
    return Shown(f"{conversation.source} (the teacher writes the answer)", teacher, student)


def _tokens(builder: ViewBuilder, part: Part) -> list[Token]:
    """All tokens of a part with their kinds."""
    tokens = builder.encoder.encode(part.text)
    targets = {p for span in part.spans for p in positions(part.text.text, tokens, span, builder.span_pattern)}
    ends = [(span.end, span.stop) for span in part.spans]
    words = _words(builder, part.messages, part.text, prompt=not part.spans)
    shown: list[Token] = []
    before = (-1, -1)
    for i, (token_id, (a, b)) in enumerate(zip(tokens.ids, tokens.offsets, strict=True)):
        kind: Kind = "context" if any(start <= a < stop for start, stop in words) else "header"
        if i in targets:
            kind = "end" if any(start <= a < stop for start, stop in ends) else "target"
        shown.append(Token(token_id, "" if (a, b) == before else part.text.text[a:b], kind))
        before = (a, b)
    return shown


def _words(builder: ViewBuilder, messages: list[Message], text: Text, *, prompt: bool) -> list[tuple[int, int]]:
    """Where the messages' own words stand in their rendering, as far as can be told."""
    found = []
    for i, message in enumerate(messages):
        (mark,) = sentinels(messages, 1)
        probe = [*messages[:i], {**message, "content": mark}, *messages[i + 1 :]]
        try:
            before, _, after = builder.renderer.render(probe, generation_prompt=prompt).text.partition(mark)
        except BakeryError:
            continue
        if text.text.startswith(before) and text.text.endswith(after):
            found.append((len(before), len(text.text) - len(after)))
    return found


def _visible(text: str) -> str:
    """Text with newlines marked and other control characters spelled out, so that data cannot steer a terminal."""
    return "".join(
        "⏎\n" if c == "\n" else c if c == " " or c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )


def _count(tokens: Sequence[Token]) -> str:
    targets = sum(token.kind in ("target", "end") for token in tokens)
    return f"{len(tokens)} tokens, {targets} targets"


def _runs(tokens: Sequence[Token]) -> list[tuple[Kind, str]]:
    return [(kind, "".join(token.text for token in run)) for kind, run in groupby(tokens, key=lambda token: token.kind)]


def _remarks(inspection: Inspection) -> list[str]:
    lines = [f"{'warning: ' if check.warns else ''}{check.text}" for check in inspection.template_checks]
    return lines + inspection.notes


def as_plain(inspection: Inspection) -> str:
    """The inspection as lines of text without colour."""
    lines = [f"marks: {LEGEND}"]
    for row in inspection.rows:
        lines += ["", f"== {_visible(row.source)}"]
        if row.refused:
            lines.append(f"refused: {_visible(row.refused)}")
            continue
        for name, tokens in (("teacher", row.teacher), ("student", row.student)):
            text = "".join(f"{MARKS[kind][0]}{_visible(text)}{MARKS[kind][1]}" for kind, text in _runs(tokens))
            lines += [f"-- {name}: {_count(tokens)}", *(f"   {line}" for line in text.split("\n"))]
    return "\n".join([*lines, "", *(_visible(remark) for remark in _remarks(inspection))])


def as_rich(inspection: Inspection) -> RenderableType:
    """The inspection in colour, teacher and student side by side."""
    parts: list[RenderableType] = []
    for row in inspection.rows:
        if row.refused:
            parts.append(Styled.assemble((_visible(row.source), "bold"), ("  refused: ", "red"), _visible(row.refused)))
            continue
        table = Table(title=Styled(_visible(row.source)), title_justify="left", expand=True)
        table.add_column(f"teacher: {_count(row.teacher)}", ratio=1)
        table.add_column(f"student: {_count(row.student)}", ratio=1)
        cells = []
        for tokens in (row.teacher, row.student):
            cells.append(Styled.assemble(*((_visible(text), STYLES[kind]) for kind, text in _runs(tokens))))
        table.add_row(*cells)
        parts.append(table)
    legend = Styled.assemble(*((f" {kind} ", style) for kind, style in STYLES.items()))
    remarks = [Styled(_visible(r), "yellow" if r.startswith("warning") else "") for r in _remarks(inspection)]
    return Group(*parts, legend, *remarks)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>bakery inspect</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
:root {{ color-scheme: light dark }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem }}
.views {{ display: grid; grid-template-columns: 1fr 1fr; gap: 1rem }}
pre {{ border: 1px solid #8886; border-radius: 6px; margin: 0; padding: .6rem; white-space: pre-wrap }}
span:hover {{ outline: 1px solid }}
.header {{ opacity: .55 }} .target {{ background: #2a92; color: #080 }} .end {{ background: #2a9; color: #fff }}
.warns {{ font-weight: bold }}
@media (prefers-color-scheme: dark) {{ .target {{ color: #9e9 }} }}
@media (max-width: 50rem) {{ .views {{ grid-template-columns: 1fr }} }}
</style></head><body>
<h1>What teacher and student see</h1>
<p><span>context</span> · <span class="header">header</span> · <span class="target">target</span> ·
<span class="end">end of turn that is a target</span>; point at a token for its id</p>
{rows}
<h2>About the template</h2>
<ul>
{remarks}
</ul>
</body></html>
"""


def as_html(inspection: Inspection) -> str:
    """The inspection as one page that loads nothing from anywhere."""
    remarks = [
        f"<li{' class=warns' if remark.startswith('warning') else ''}>{html.escape(remark)}</li>"
        for remark in _remarks(inspection)
    ]
    rows = "\n".join(_row_html(row) for row in inspection.rows)
    return _PAGE.format(rows=rows, remarks="\n".join(remarks) or "<li>nothing odd</li>")


def _row_html(row: Shown) -> str:
    title = f"<h2>{html.escape(row.source)}</h2>"
    if row.refused:
        return f"{title}\n<p class=warns>refused: {html.escape(row.refused)}</p>"
    cells = []
    for name, tokens in (("teacher", row.teacher), ("student", row.student)):
        shown = "".join(_token_html(token) for token in tokens)
        cells.append(f"<section><h3>{name}: {_count(tokens)}</h3><pre>{shown}</pre></section>")
    return f"{title}\n<div class=views>{''.join(cells)}</div>"


def _token_html(token: Token) -> str:
    return f'<span class="{token.kind}" title="{token.id}">{html.escape(_visible(token.text))}</span>'
