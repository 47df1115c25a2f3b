"""report.html: the proof as one self-contained page, without script and without network."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from bakery import __version__
from bakery.engine.distill.conditions import BAKED, BASE, PROMPTED
from bakery.evaluation.evaluator import NAMES
from bakery.evaluation.proof import TITLES, Example, Proof
from bakery.evaluation.verdict import Verdict
from bakery.html_page import html_page
from bakery.report.charts import BELOW, Point, Series, line_chart
from bakery.report.results import BakeResult
from bakery.report.summary import COLUMNS, Cell, PayOff, Summary, decimal, drift, percent, summary
from bakery.report.usage import usage

HEAT = (0.02, 0.1, 0.5, 2.0)
"""Nats at which a token's colour becomes one step stronger."""

HEAT_WORDS = ("almost the same", "slightly", "somewhat", "strongly", "entirely")
"""What people read for each colour, from the weakest."""

Figures = Sequence[Mapping[str, Any]]


def bake_page(result: BakeResult) -> str:
    """report.html of a bake."""
    about = (
        f"A prompt of {result.prefix_tokens} tokens, baked into {result.base_model} in "
        f"{result.seconds.get('bake', 0.0):.0f} s: {result.rows:,} examples, {result.steps:,} steps of training."
    )
    told, proof = result.summary, result.proof
    return _page(
        "A baked context",
        about,
        told,
        tiles=_tiles(proof) if proof else "",
        charts=(_positions(proof) if proof else "") + training_chart(result.curve),
        examples=proof.examples if proof else (),
        usage=usage(result) if told.verdict.usable else "",
    )


def page(
    proof: Proof,
    title: str,
    about: str,
    *,
    curve: Figures = (),
    sweep: Figures = (),
    usage: str = "",
    pay_off: PayOff | None = None,
) -> str:
    """The whole page as HTML text: a heading, one sentence about it, and everything that was measured.

    `curve`: the log lines of a training; `sweep`: figures by strength of the adapter, if it was tried at several;
    `usage`: code that uses the adapter; `pay_off`: in requests.
    """
    return _page(
        title,
        about,
        summary(proof, pay_off),
        tiles=_tiles(proof),
        charts=_positions(proof) + training_chart(curve) + _strengths(proof, sweep),
        examples=proof.examples,
        usage=usage,
    )


def _page(
    title: str, about: str, told: Summary, *, tiles: str, charts: str, examples: Sequence[Example], usage: str
) -> str:
    items = "".join(f'<li class="{one.level}">{escape(one.text)}</li>' for one in told.others)
    parts = [
        f'<h1>{escape(title)}</h1><p class="soft">{escape(about)}</p>',
        _verdict(told.verdict),
        f'<ul class="findings">{items}</ul>' if items else "",
        tiles,
        _table(told) if told.sections else "",
        f'<h2>How far from the prompted model</h2><div class="charts">{charts}</div>' if charts else "",
        _examples(examples) if examples else "",
        f"<h2>Use it</h2><pre><code>{escape(usage)}</code></pre>" if usage else "",
        f'<p class="soft small">Made with bakery {escape(__version__)}. Every figure is in results.json.</p>',
    ]
    return html_page(title, "\n".join(part for part in parts if part))


def _verdict(reached: Verdict) -> str:
    """What people read first: the verdict, and why."""
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in reached.reasons)
    return f'<p class="verdict {reached.level}">{escape(reached.headline)}</p><ul class="reasons">{reasons}</ul>'


def _tiles(proof: Proof) -> str:
    """The four figures to remember, each in plain words; units that are terms of the field in small print."""
    tiles = []
    if proof.divergence.share_closed:
        tiles.append((percent(proof.divergence.share_closed), "of the gap to the prompted model closed", ""))
    baked, prompted = (proof.main_set.conditions[condition] for condition in (BAKED, PROMPTED))
    if baked.accuracy and prompted.accuracy:
        tiles.append((percent(baked.accuracy), f"correct answers (prompted: {percent(prompted.accuracy).value})", ""))
    else:
        tiles.append((percent(baked.agreement), "answers equal to the prompted model's", ""))
    if proof.drift:
        cell = drift(proof.drift)
        tiles.append((Cell(cell.value), "changed under other prompts", cell.range))
    tiles.append((Cell(str(round(proof.request_cost.saved_tokens))), "prompt tokens saved per request", ""))
    shown = "".join(
        f'<div class="tile"><b>{escape(cell.value)}</b><span>{escape(text)}</span>'
        f'<small class="soft">{escape(small)}</small></div>'
        for cell, text, small in tiles
    )
    return f'<div class="tiles">{shown}</div>'


def _table(told: Summary) -> str:
    heads = "".join(f'<th scope="col">{_key(NAMES[c])}{escape(title)}</th>' for c, title in COLUMNS.items())
    rows = []
    for title, lines in told.sections.items():
        rows.append(f'<tr class="section"><th scope="rowgroup" colspan="5">{escape(title)}</th></tr>')
        for label, line in lines.items():
            ranges = (f"<small>{escape(cell.range)}</small>" if cell.range else "" for cell in line)
            cells = "".join(f"<td>{escape(c.value)}{small}</td>" for c, small in zip(line, ranges, strict=True))
            rows.append(f'<tr><th scope="row">{escape(label)}</th>{cells}</tr>')
    return (
        '<h2>Figures</h2><div class="scroll"><table><thead><tr><th></th>'
        f"{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        f'<p class="soft small">{escape(told.footnote("The small figures"))}</p>'
    )


def _key(name: str) -> str:
    return f'<span class="key {name}"></span>'


def _positions(proof: Proof) -> str:
    """The divergence along the answer."""
    positions, measured = proof.divergence.positions, TITLES[proof.measured_on]
    before = tuple(Point(at.position, at.before.mean, at.before.low, at.before.high) for at in positions)
    after = tuple(Point(at.position, at.after.mean, at.after.low, at.after.high) for at in positions)
    by_position = [
        Series("base", "before the bake", before),
        Series("baked", "after the bake (bands: 95 % intervals)", after),
    ]
    title = f"Distance from the prompted model along the answer, {measured}"
    return _figure(title, by_position, "token of the answer")


def training_chart(curve: Figures) -> str:
    """The divergence while the adapter was trained, as a figure of HTML; nothing where there is none.

    `curve`: the log lines of a training.
    """
    training = [
        _series(curve, "step", "loss", "baked", "training rows"),
        _series(curve, "step", "eval_loss", "prompted", "validation rows"),
    ]
    return _figure("Distance from the prompted model while training", training, "step")


def _strengths(proof: Proof, sweep: Figures) -> str:
    """Divergence and drift at several strengths."""
    measured, others = (
        TITLES[proof.measured_on],
        TITLES["anchor_file" if "anchor_file" in proof.side_effects else "neutral"],
    )
    strength = [
        _series(sweep, "strength", "divergence", "baked", f"from the prompted model, {measured}"),
        _series(sweep, "strength", "drift", "base", f"from the base, {others}"),
    ]
    return _figure("Distances by strength of the adapter", strength, "strength", logarithmic=False)


def _series(rows: Figures, x: str, y: str, name: str, label: str) -> Series:
    """The figures that have a `y`, without an interval."""
    points = ((float(row[x]), float(row[y])) for row in rows if row.get(y) is not None)
    return Series(name, label, tuple(Point(at, value, value, value) for at, value in points))


def _figure(title: str, series: Sequence[Series], x_label: str, logarithmic: bool = True) -> str:
    """A chart with its legend; nothing where there is no point to draw."""
    series = [one for one in series if one.points]
    if not series:
        return ""
    keys = "".join(f"<span>{_key(one.name)}{escape(one.label)}</span>" for one in series)
    chart = line_chart(title, series, x_label, "nats per token", logarithmic=logarithmic)
    note = f"<span>▽ {BELOW}</span>" if BELOW in chart else ""
    return f'<figure><h3>{escape(title)}</h3>{chart}<figcaption class="small">{keys}{note}</figcaption></figure>'


def _examples(examples: Sequence[Example]) -> str:
    ranges = (f"under {HEAT[0]:g}", *(f"from {step:g}" for step in HEAT))
    legend = " ".join(
        f'<span class="t t{level}">{words} <small>{text}</small></span>'
        for level, (words, text) in enumerate(zip(HEAT_WORDS, ranges, strict=True))
    )
    return (
        '<section class="examples"><h2>Side by side</h2><p class="soft small legend">'
        "Colours show how differently two models continue at each "
        f"token: {legend} <small>(divergence in nats)</small>. Base and baked answers show how far that model is from "
        "the prompted one along its own answer; the prompted answer shows how far the baked model is from it. "
        "■ marks the end of the turn.</p>" + "".join(map(_example, examples)) + "</section>"
    )


def _example(example: Example) -> str:
    answered = example.answered
    question, right = answered.question, answered.right
    answers = escape(" or ".join(question.answers))
    expected = f'<p class="soft small">expected: {answers}</p>' if answers else ""
    replies = []
    for condition in (BASE, PROMPTED, BAKED):
        reply, tokens = answered.replies[condition], example.tokens.get(condition)
        mark = "" if right is None else "right" if right[condition] else "wrong"
        text = escape(reply.text) if tokens is None else "".join(_tokens(tokens, reply.stopped))
        end = "" if reply.stopped else '<span class="end">… (cut off)</span>'
        replies.append(f'<div><h4>{escape(COLUMNS[condition])}</h4><p class="{mark}">{text}{end}</p></div>')
    head = f"<h3>{escape(question.text)}</h3>{expected}"
    return f'<div class="example">{head}<div class="replies">{"".join(replies)}</div></div>'


def _tokens(tokens: Sequence[tuple[str, float]], stopped: bool) -> Iterator[str]:
    """Every token as a coloured piece; the end of the turn, which has no text, as a small mark."""
    for number, (text, divergence) in enumerate(tokens, 1):
        level = sum(divergence >= step for step in HEAT)
        shown = escape(text) or ('<span class="end">■</span>' if stopped and number == len(tokens) else "")
        if shown:
            yield f'<span class="t t{level}" title="{decimal(max(0.0, divergence), 2)} nats">{shown}</span>'
