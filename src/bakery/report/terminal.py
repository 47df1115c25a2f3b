"""The proof in the terminal: the findings, the table, a few answers side by side, and how to use the adapter."""

from collections.abc import Sequence

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bakery.engine.distill.conditions import BAKED, BASE, PROMPTED
from bakery.evaluation.proof import AnsweredQuestion, Proof
from bakery.evaluation.verdict import Verdict, VerdictLevel
from bakery.progress import Spent
from bakery.report.results import BakeResult
from bakery.report.summary import COLUMNS, PayOff, Sections, Summary, summary
from bakery.report.usage import usage
from bakery.rows.conversations import evenly
from bakery.text import excerpt

_ANSWERS = 6
_LONGEST_ANSWER = 200
_MARKS = {"warning": ("!", "bold red", "bold red"), "good": ("✓", "bold green", "bold"), "note": ("·", "dim", "dim")}
_VERDICTS: dict[VerdictLevel, str] = {
    "good": "bold green", "partial": "bold yellow", "failed": "bold red", "harmful": "bold red",
    "unknown": "bold magenta",
}  # fmt: skip


def print_proof(result: BakeResult, console: Console) -> None:
    """The figures, where the time went, and how to use what was baked."""
    told = result.summary
    _print_summary(told, console)
    console.print()
    console.print(time_table(result.spent))
    console.print()
    if result.stopped_early:
        console.print(Text(f"Stopped after {result.steps} steps: {result.stopped_early}."))
    folder = str(result.output_dir)
    report = "; the full report is ", (f"{folder}/report.html", "bold")
    console.print(Text.assemble("The adapter is in ", (folder, "bold"), *report))
    if told.verdict.usable:
        console.print("Use it:\n")
        # Soft wrapping leaves the lines as they are: what is copied is what was meant.
        console.print(Text(usage(result), style="cyan"), soft_wrap=True)


def print_figures(proof: Proof, console: Console, pay_off: PayOff | None = None) -> None:
    """The verdict with its reasons, the other findings, the table, and a few answers side by side."""
    _print_summary(summary(proof, pay_off), console)


def _print_summary(told: Summary, console: Console) -> None:
    console.print()
    _print_verdict(told.verdict, console)
    if told.others:
        console.print()
    for finding in told.others:
        mark, mark_style, text_style = _MARKS[finding.level]
        grid = Table.grid(padding=(0, 1))
        grid.add_row(Text(mark, style=mark_style), Text(finding.text, style=text_style))
        console.print(grid)
    if told.sections:
        console.print()
        console.print(_table(told.sections))
        console.print(Padding(Text(told.footnote("The small figures"), style="dim"), (1, 0, 0, 0)))
    if told.answered:
        console.print()
        console.print(_side_by_side(told.answered))


def _print_verdict(reached: Verdict, console: Console) -> None:
    console.print(Text(reached.headline, style=_VERDICTS[reached.level]))
    for reason in reached.reasons:
        console.print(Padding(Text(reason), (0, 0, 0, 2)))


def time_table(stages: Sequence[Spent]) -> Table:
    """Where the time went: one line per stage, and the whole. A stage taken over from an earlier run is `reused`."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Where the time went", min_width=22)
    for title in ("time", "share", "tokens", "tokens/s"):
        table.add_column(title, justify="right", no_wrap=True)
    whole = sum(spent.seconds for spent in stages)
    for spent in stages:
        tokens = spent.tokens or spent.reused
        table.add_row(
            f"  {spent.stage}",
            "reused" if spent.reused and not spent.tokens else f"{spent.seconds:.1f} s",
            f"{100 * spent.seconds / whole:.0f} %",
            f"{tokens:,}" if tokens else "",
            f"{spent.tokens / spent.seconds:,.0f}" if spent.tokens and spent.seconds else "",
        )
    table.add_row("  whole", f"{whole:.1f} s", "100 %")
    return table


def _table(shown: Sections) -> Table:
    """All sections in one table, so that their columns are aligned."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(overflow="fold", max_width=42)
    for _ in COLUMNS:
        table.add_column(justify="right", no_wrap=True)
    for title, lines in shown.items():
        first = not table.row_count
        if not first:
            table.add_row("")
        table.add_row(Text(title, style="bold"), *(Text(name, style="bold") for name in COLUMNS.values() if first))
        for label, line in lines.items():
            cells = (Group(c.value, Text(c.range, style="dim")) if c.range else c.value for c in line)
            table.add_row(Padding(Text(label), (0, 0, 0, 2)), *cells)
    return table


def _side_by_side(answered: Sequence[AnsweredQuestion]) -> Table:
    """A few answers, spread evenly over all questions."""
    table = Table(
        title="Side by side", title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 1, 0)
    )
    for title in ("question", COLUMNS[BASE], COLUMNS[PROMPTED], COLUMNS[BAKED]):
        table.add_column(title, overflow="fold", ratio=1)
    for one in evenly(answered, _ANSWERS):
        base, prompted, baked = (one.replies[condition] for condition in (BASE, PROMPTED, BAKED))
        style = "green" if baked.ids == prompted.ids else "yellow"
        texts = ((one.question.text, "bold"), (base.text, ""), (prompted.text, ""), (baked.text, style))
        table.add_row(*(Text(_printable(text), style=style) for text, style in texts))
    return table


def _printable(text: str) -> str:
    """A text for the terminal, without characters that could move the cursor, and not too long."""
    return excerpt("".join(letter if letter.isprintable() else " " for letter in text), _LONGEST_ANSWER)
