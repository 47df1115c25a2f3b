"""compare.html: adapters side by side on one self-contained page, without script and without network."""

from collections.abc import Iterator, Sequence
from html import escape

from bakery import __version__
from bakery.engine.distill.conditions import BASE, PROMPTED, Condition
from bakery.evaluation.paired import PairedFigure
from bakery.evaluation.proof import TITLES, AnsweredQuestion
from bakery.html_page import html_page
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
    sentence,
    warnings,
)
from bakery.report.summary import Cell

TITLE = "Adapters compared"
_HEADS = ("difference", "what it says")


def comparison_page(result: CompareResult) -> str:
    """The whole page as HTML text."""
    names = " · ".join(adapter.label for adapter in result.adapters)
    about = f"{names}, on {result.base_model}: the same questions, with the same seeds, to each of them."
    notes = [*(("warning", text) for text in warnings(result)), ("good", assurance(result))]
    items = "".join(f'<li class="{level}">{escape(text)}</li>' for level, text in notes if text)
    parts = [
        f'<h1>{TITLE}</h1><p class="soft">{escape(about)}</p>',
        *(f'<p class="headline">{escape(text)}</p>' for text in headlines(result)),
        f'<ul class="findings">{items}</ul>',
        *_figures(result, result.figures, f"Measured on {TITLES[result.measured_on]}"),
        *_differences(result, result.figures),
        *_against_prompted(result),
        *_unseen(result),
        *_questions(result),
        f'<p class="soft small">Made with bakery {escape(__version__)}. Every figure is in compare.json.</p>',
    ]
    return html_page(TITLE, "\n".join(parts))


def _figures(result: CompareResult, figures: Sequence[PairedFigure], title: str) -> Iterator[str]:
    """Every figure of base, prompted model and all adapters."""
    columns = _columns(result)
    rows = "".join(_row(label(figure), [cell(figure, condition) for condition in columns]) for figure in figures)
    note = FOOTNOTE.format(small="The small figures")
    yield f'<h2>{escape(title)}</h2>{_table(list(columns.values()), rows)}<p class="soft small">{escape(note)}</p>'


def _differences(result: CompareResult, figures: Sequence[PairedFigure]) -> Iterator[str]:
    """Every adapter against the first."""
    first = result.first.condition, result.first.label
    for adapter in result.adapters[1:]:
        rows = [_difference(one, label(one), (adapter.condition, adapter.label), first) for one in figures]
        yield f"<h2>{escape(adapter.label)} against {escape(first[1])}</h2>{_table(_HEADS, ''.join(rows), 'words')}"


def _against_prompted(result: CompareResult) -> Iterator[str]:
    """Every adapter against the prompted model, where one can be better than the other."""
    prompted = PROMPTED, PROMPTED_MODEL
    rows = [
        _difference(figure, f"{adapter.label}: {label(figure)}", (adapter.condition, adapter.label), prompted)
        for figure in result.figures
        if figure.name in JUDGED
        for adapter in result.adapters
    ]
    if rows:
        yield f"<h2>Against {PROMPTED_MODEL}</h2>{_table(_HEADS, ''.join(rows), 'words')}"


def _difference(figure: PairedFigure, title: str, one: tuple[Condition, str], other: tuple[Condition, str]) -> str:
    """A row with a difference and what it means; none where either was not measured."""
    difference = figure.difference(one[0], other[0])
    if difference is None:
        return ""
    word, told = judgement(figure, difference), sentence(figure, one[1], other[1], difference)
    words = f'<td class="words"><b class="{word}">{word}</b> <span>{escape(told)}</span></td>'
    return f'<tr><th scope="row">{escape(title)}</th>{_cell(difference_cell(figure, difference))}{words}</tr>'


def _unseen(result: CompareResult) -> Iterator[str]:
    """The figures on questions that none was trained on, where they differ from the others."""
    figures = result.unseen_figures
    if figures:
        title = f"On the {result.unseen} questions that none is known to have been trained on"
        yield from _figures(result, figures, title)
        yield from _differences(result, figures)


def _questions(result: CompareResult) -> Iterator[str]:
    """Every question with all answers, those first on which the adapters differ."""
    yield (
        f'<h2>Answers side by side</h2><p class="soft">{escape(compared_with(result))} Those come first. ✓ and ✗ mark '
        "right and wrong answers where one is expected; “= prompted” marks one that is equal to the prompted model's, "
        "token for token.</p>"
    )
    columns = _columns(result)
    for _, answered in result.questions():
        yield _question(answered, columns, [a.label for a in result.adapters if _was_trained(a.trained_on, answered)])


def _was_trained(names: frozenset[str] | None, answered: AnsweredQuestion) -> bool:
    return names is not None and answered.question.source in names


def _question(answered: AnsweredQuestion, columns: dict[Condition, str], trained: Sequence[str]) -> str:
    question, right = answered.question, answered.right
    prompted = answered.replies[PROMPTED].ids
    replies = []
    for condition, name in columns.items():
        reply = answered.replies[condition]
        mark = "" if right is None else "right" if right[condition] else "wrong"
        equal = condition != PROMPTED and reply.ids == prompted
        end = "" if reply.stopped else '<span class="end">… (cut off)</span>'
        head = f"{escape(name)}{' <small>= prompted</small>' if equal else ''}"
        replies.append(f'<div><h4>{head}</h4><p class="{mark}">{escape(reply.text)}{end}</p></div>')
    notes = [f"expected: {' or '.join(question.answers)}"] if question.answers else []
    notes += [f"trained on by {', '.join(trained)}"] if trained else []
    about = f'<p class="soft small">{escape("; ".join(notes))}</p>' if notes else ""
    return (
        f'<div class="example"><h3>{escape(question.text)}</h3>{about}'
        f'<div class="replies" style="--columns: {len(columns)}">{"".join(replies)}</div></div>'
    )


def _columns(result: CompareResult) -> dict[Condition, str]:
    """What people read for base, prompted model and every adapter."""
    return {BASE: "base", PROMPTED: "prompted", **{each.condition: each.label for each in result.adapters}}


def _table(heads: Sequence[str], rows: str, name: str = "figures") -> str:
    cells = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    return (
        f'<div class="scroll"><table class="{name}" style="--columns: {len(heads)}">'
        f"<thead><tr><th></th>{cells}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(title: str, cells: Sequence[Cell]) -> str:
    return f'<tr><th scope="row">{escape(title)}</th>{"".join(map(_cell, cells))}</tr>'


def _cell(cell: Cell) -> str:
    small = f"<small>{escape(cell.range)}</small>" if cell.range else ""
    return f"<td>{escape(cell.value)}{small}</td>"
