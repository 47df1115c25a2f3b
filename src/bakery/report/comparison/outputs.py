"""What a comparison leaves: compare.json (docs/results.md has every key), compare.html, and tables in the terminal."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bakery import __version__
from bakery.engine.distill.conditions import BASE, PROMPTED, Condition
from bakery.evaluation.estimates import Estimate
from bakery.evaluation.paired import PairedFigure
from bakery.evaluation.proof import AnsweredQuestion
from bakery.report.comparison.page import comparison_page
from bakery.report.comparison.result import CompareResult
from bakery.report.comparison.words import (
    FOOTNOTE,
    JUDGED,
    PROMPTED_MODEL,
    assurance,
    cell,
    compared_with,
    difference_cell,
    headlines,
    judgement,
    label,
    measured,
    sentence,
    warnings,
)
from bakery.report.results import write_json
from bakery.report.summary import Cell

SCHEMA = 1
"""Version of compare.json. New keys may be added; a key that changes its name or its meaning raises it."""
_STYLES = {"better": "bold green", "worse": "bold red", "unclear": "dim"}
_LABEL, _NARROWEST, _SHORTEST_NAME, _GAP = 16, 7, 10, 2
"""Characters: of labels and of a column at least, of an adapter's name before it is broken, between two columns."""


def comparison_figures(result: CompareResult) -> dict[str, Any]:
    """The content of compare.json: plain numbers, divergences in nats per token; adapters in their order."""
    unseen = result.unseen_figures
    return {
        "schema": SCHEMA,
        "bakery": __version__,
        "base_model": result.base_model,
        "adapters": [
            {
                "label": adapter.label,
                "folder": str(adapter.folder),
                "trained_on": None if adapter.trained_on is None else len(adapter.trained_on),
                "anchors": adapter.anchors,
                "same_prompt": adapter.same_prompt,
            }
            for adapter in result.adapters
        ],
        "headlines": headlines(result),
        "warnings": warnings(result),
        "measured_on": result.measured_on,
        "asked": len(result.asked),
        "figures": [_figure(figure, result) for figure in result.figures],
        "unseen": {"questions": result.unseen, "figures": [_figure(figure, result) for figure in unseen]}
        if unseen
        else None,
        "questions": [_question(name, answered, result) for name, answered in result.questions()],
        "left_out": list(result.left_out),
        "seconds": {name: round(seconds, 3) for name, seconds in result.seconds.items()},
    }


def _figure(figure: PairedFigure, result: CompareResult) -> dict[str, Any]:
    adapters, first = result.adapters, result.first
    judged = figure.name in JUDGED
    return {
        "figure": figure.name,
        "about": figure.about,
        "n": len(figure.prompts),
        "base": _plain(measured(figure, BASE)),
        "prompted": _plain(measured(figure, PROMPTED)),
        "adapters": [_plain(measured(figure, adapter.condition)) for adapter in adapters],
        "from_first": [
            _difference(figure, (adapter.condition, adapter.label), (first.condition, first.label))
            for adapter in adapters[1:]
        ],
        "from_prompted": [
            _difference(figure, (adapter.condition, adapter.label), (PROMPTED, PROMPTED_MODEL)) for adapter in adapters
        ]
        if judged
        else None,
    }


def _plain(estimate: Estimate | None) -> dict[str, float] | None:
    return None if estimate is None else dict(vars(estimate))


def _difference(figure: PairedFigure, one: tuple[Condition, str], other: tuple[Condition, str]) -> dict[str, Any]:
    difference = figure.difference(one[0], other[0])
    if difference is None:
        raise ValueError(f"{figure.name} was not measured of {one[1]} or of {other[1]}")
    return {
        **vars(difference),
        "judgement": judgement(figure, difference),
        "sentence": sentence(figure, one[1], other[1], difference),
    }


def _question(name: str, answered: AnsweredQuestion, result: CompareResult) -> dict[str, Any]:
    replies, right = answered.replies, answered.right
    conditions = [adapter.condition for adapter in result.adapters]
    source = answered.question.source
    return {
        "set": name,
        "question": answered.question.text,
        "answer": list(answered.question.answers),
        "base": replies[BASE].text,
        "prompted": replies[PROMPTED].text,
        "adapters": [replies[condition].text for condition in conditions],
        "as_prompted": [replies[condition].ids == replies[PROMPTED].ids for condition in conditions],
        "right": None if right is None else [right[condition] for condition in conditions],
        "right_prompted": None if right is None else right[PROMPTED],
        "trained_on": [None if one.trained_on is None else source in one.trained_on for one in result.adapters],
    }


def write_comparison(result: CompareResult) -> None:
    """compare.json and compare.html into the result's folder."""
    folder = result.output_dir
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "compare.html").write_text(comparison_page(result), encoding="utf-8")
    write_json(folder / "compare.json", comparison_figures(result))


def print_comparison(result: CompareResult, console: Console) -> None:
    """The headlines, what to know before believing them, and the tables."""
    console.print()
    for text in headlines(result):
        console.print(Text(text, style="bold"))
    console.print()
    for mark, style, texts in (("!", "bold red", warnings(result)), ("✓", "bold green", [assurance(result)])):
        for text in filter(None, texts):
            grid = Table.grid(padding=(0, 1))
            grid.add_row(Text(mark, style=style), Text(text))
            console.print(grid)
    console.print()
    _print_tables(result, result.figures, console)
    if result.unseen_figures:
        console.print(Text(f"On the {result.unseen} questions that none is known to have been trained on", "bold"))
        _print_tables(result, result.unseen_figures, console)
    console.print(Padding(Text(FOOTNOTE.format(small="The small figures"), style="dim"), (0, 0, 1, 0)))
    folder = result.output_dir
    console.print(
        Text.assemble(
            f"{compared_with(result)} All answers are side by side in ",
            (f"{folder}/compare.html", "bold"),
            "; every figure is in compare.json in the same folder.",
        )
    )


def _print_tables(result: CompareResult, figures: Sequence[PairedFigure], console: Console) -> None:
    """All figures, the differences from the first adapter, and those from the prompted model."""
    first = result.first
    columns = {BASE: "base", PROMPTED: "prompted", **{each.condition: each.label for each in result.adapters}}
    shown = {label(figure): [(cell(figure, condition), "") for condition in columns] for figure in figures}
    _print_table("Figures", list(columns.values()), shown, console)
    others = result.adapters[1:]
    against = {label(one): [_judged(one, each.condition, first.condition) for each in others] for one in figures}
    _print_table(f"Compared with {first.label}", [each.label for each in others], against, console)
    judged = [figure for figure in figures if figure.name in JUDGED]
    if judged:
        prompted = {label(one): [_judged(one, each.condition, PROMPTED) for each in result.adapters] for one in judged}
        _print_table(f"Compared with {PROMPTED_MODEL}", [each.label for each in result.adapters], prompted, console)


def _judged(figure: PairedFigure, one: Condition, other: Condition) -> tuple[Cell, str]:
    """A difference and what it means."""
    difference = figure.difference(one, other)
    return (Cell(), "") if difference is None else (difference_cell(figure, difference), judgement(figure, difference))


def _print_table(title: str, heads: Sequence[str], rows: dict[str, list[tuple[Cell, str]]], console: Console) -> None:
    """Columns as wide as their figures, the names above them broken where they are longer; so many as fit side by side.

    Those that do not fit follow in a table of their own.
    """
    widths = []
    for at, head in enumerate(heads):
        lines = [text for cells in rows.values() for text in (cells[at][0].value, cells[at][0].range, cells[at][1])]
        widths.append(max(_NARROWEST, min(len(head), _SHORTEST_NAME), *map(len, lines)))
    groups: list[list[int]] = [[]]
    for at, width in enumerate(widths):
        if groups[-1] and _LABEL + width + sum(widths[other] + _GAP for other in groups[-1]) > console.width:
            groups.append([])
        groups[-1].append(at)
    for columns in groups:
        table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
        table.padding = (0, _GAP, 0, 0)
        table.add_column(overflow="fold", min_width=_LABEL - _GAP)
        for at in columns:
            width = widths[at]
            table.add_column(Text(heads[at]), justify="right", overflow="fold", min_width=width, max_width=width)
        for name, cells in rows.items():
            table.add_row(Padding(Text(name), (0, 0, 0, 2)), *(_shown(*cells[at]) for at in columns))
        console.print(table)
        console.print()


def _shown(figure: Cell, word: str) -> Group:
    lines = [Text(figure.value)]
    lines += [Text(figure.range, style="dim")] if figure.range else []
    lines += [Text(word, style=_STYLES[word])] if word else []
    return Group(*lines)
