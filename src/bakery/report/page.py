"""report.html: the proof as one self-contained page, without script and without network. Styles are in page.css."""

from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from bakery import __version__
from bakery.engine.distill.conditions import BAKED, BASE, PROMPTED, Condition
from bakery.evaluation.estimates import Estimate
from bakery.evaluation.evaluator import CONDITIONS, NAMES
from bakery.evaluation.findings import findings
from bakery.evaluation.proof import Exhibit, Painted, Position, Proof, RuleScore
from bakery.report.charts import Series, bar, line_chart
from bakery.report.summary import COLUMNS, FOOTNOTE, ROW_TITLES, Cell, decimal, nats, percent, sections

_HEAT = (0.02, 0.1, 0.5, 2.0)
"""Nats at which a token's colour becomes one step stronger."""
_SHOWN = (BASE, PROMPTED, BAKED)
_TITLES = dict(zip(CONDITIONS, COLUMNS, strict=True))


def page(
    proof: Proof,
    title: str,
    about: str,
    *,
    curve: Sequence[dict[str, Any]] = (),
    sweep: Sequence[dict[str, Any]] = (),
    usage: str = "",
    break_even: int | None = None,
) -> str:
    """The whole page as HTML text.

    Args:
        proof: what was measured.
        title: the heading.
        about: one sentence below it.
        curve: the log lines of the training, if there was one.
        sweep: figures by strength of the adapter, if it was tried at several.
        usage: code that uses the adapter.
        break_even: in requests, where it is known.
    """
    parts = [
        _head(title),
        f'<h1>{escape(title)}</h1><p class="soft">{escape(about)}</p>',
        _findings(proof),
        _tiles(proof),
        _table(proof, break_even),
        _charts(proof, curve, sweep),
        _rules(proof.rules),
        _gallery(proof.gallery),
        f"<h2>Use it</h2><pre><code>{escape(usage)}</code></pre>" if usage else "",
        f'<p class="soft small">Made with bakery {escape(__version__)}. Every figure is in results.json.</p>',
        "</body></html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _head(title: str) -> str:
    style = files("bakery.report").joinpath("page.css").read_text(encoding="utf-8")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        'img-src data:">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body>"
    )


def _findings(proof: Proof) -> str:
    items = "".join(f'<li class="{found.level}">{escape(found.text)}</li>' for found in findings(proof))
    return f'<ul class="findings">{items}</ul>'


def _tiles(proof: Proof) -> str:
    """The four figures to remember."""
    tiles = []
    if proof.divergence.share_closed:
        tiles.append((percent(proof.divergence.share_closed), "of the gap to the prompted model closed"))
    main = proof.main_set.conditions
    baked, prompted = main[BAKED].accuracy, main[PROMPTED].accuracy
    if baked and prompted:
        tiles.append((percent(baked), f"right answers; prompted: {percent(prompted).value}"))
    else:
        tiles.append((percent(main[BAKED].agreement), "answers equal to the prompted model's"))
    if proof.drift:
        tiles.append((nats(proof.drift), "nats per token of change under other prompts"))
    tiles.append((Cell(str(round(proof.request_cost.saved_tokens))), "prompt tokens saved by every request"))
    shown = "".join(f'<div class="tile"><b>{escape(c.value)}</b><span>{escape(text)}</span></div>' for c, text in tiles)
    return f'<div class="tiles">{shown}</div>'


def _table(proof: Proof, break_even: int | None) -> str:
    heads = "".join(
        f'<th scope="col"><span class="key {NAMES[v]}"></span>{escape(_TITLES[v])}</th>' for v in CONDITIONS
    )
    rows = []
    for section in sections(proof, break_even):
        rows.append(f'<tr class="section"><th scope="rowgroup" colspan="5">{escape(section.title)}</th></tr>')
        for line in section.lines:
            cells = "".join(f"<td>{_cell(cell)}</td>" for cell in line.cells)
            rows.append(f'<tr><th scope="row">{escape(line.label)}</th>{cells}</tr>')
    note = FOOTNOTE.format(small="The small figures")
    return (
        '<h2>Figures</h2><div class="scroll"><table><thead><tr><th></th>'
        f"{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        f'<p class="soft small">{escape(note)} Measured on {escape(ROW_TITLES[proof.rows])}.</p>'
    )


def _cell(cell: Cell) -> str:
    return escape(cell.value) + (f"<small>{escape(cell.range)}</small>" if cell.range else "")


def _charts(proof: Proof, curve: Sequence[dict[str, Any]], sweep: Sequence[dict[str, Any]]) -> str:
    positions = proof.divergence.positions
    drawn = (_position_chart(positions) if positions else "", _curve_chart(curve), _sweep_chart(sweep) if sweep else "")
    shown = "".join(f"<figure>{figure}</figure>" for figure in drawn if figure)
    return f'<h2>Where it differs</h2><div class="charts">{shown}</div>' if shown else ""


def _position_chart(positions: Sequence[Position]) -> str:
    before, after = (
        tuple((float(at.place), e.mean, e.low, e.high) for at in positions for e in [getattr(at, name)])
        for name in ("before", "after")
    )
    chart = line_chart(
        "Divergence from the prompted model by token position, before and after the bake",
        [Series("base", "before the bake", before), Series("baked", "after the bake", after)],
        "token of the answer",
        "nats from the prompted model",
        logarithmic=True,
    )
    return (
        f'{chart}<figcaption class="small"><span class="key base"></span>before the bake<span class="key baked"></span>'
        "after it; bands are 95 % intervals</figcaption>"
    )


def _curve_chart(curve: Sequence[dict[str, Any]]) -> str:
    """Loss and held-out divergence over the steps, on a logarithmic scale."""
    series = []
    for key, name, label in (("loss", "baked", "training rows"), ("eval_loss", "prompted", "validation rows")):
        points = tuple((float(row["step"]), float(row[key])) for row in curve if key in row and row[key] > 0)
        if points:
            series.append(Series(name, label, tuple((x, y, y, y) for x, y in points)))
    if not series:
        return ""
    keys = "".join(f'<span class="key {one.name}"></span>{one.label}' for one in series)
    chart = line_chart("Divergence while training", series, "step", "nats per token", logarithmic=True)
    return f'{chart}<figcaption class="small">{keys}</figcaption>'


def _sweep_chart(sweep: Sequence[dict[str, Any]]) -> str:
    """What is missing of the prompt and what has drifted, over the strength of the adapter."""
    names = (
        ("divergence", "baked", "from the prompted model"),
        ("drift", "base", "from the base, under other prompts"),
    )
    series = []
    for key, name, label in names:
        points = tuple((row["strength"], row[key]) for row in sweep if row[key] is not None)
        if points:
            series.append(Series(name, label, tuple((x, y, y, y) for x, y in points)))
    keys = "".join(f'<span class="key {one.name}"></span>{one.label}' for one in series)
    chart = line_chart("Divergence over the strength of the adapter", series, "strength", "nats per token")
    return f'{chart}<figcaption class="small">{keys}</figcaption>'


def _rules(rules: Sequence[RuleScore]) -> str:
    if not rules:
        return ""
    shown = []
    for score in rules:
        bars = "".join(_bar(condition, percent(found), found) for condition, found in score.conditions.items())
        shown.append(f'<div class="rule"><h3>{escape(score.rule.name)}</h3>{bars}</div>')
    return f"<h2>Rule by rule</h2>{''.join(shown)}"


def _bar(condition: Condition, cell: Cell, found: Estimate) -> str:
    drawn = bar(NAMES[condition], found.mean, found.low, found.high)
    figures = f'{escape(cell.value)} <small class="soft">{escape(cell.range)}</small>'
    return f"<div><span>{escape(_TITLES[condition])}</span>{drawn}<span>{figures}</span></div>"


def _gallery(exhibits: Sequence[Exhibit]) -> str:
    if not exhibits:
        return ""
    steps = ("below", *_HEAT)
    legend = "".join(
        f'<span class="t t{level}">{"under " + format(_HEAT[0], "g") if level == 0 else f"{step:g} and more"}</span>'
        for level, step in enumerate(steps)
    )
    return (
        '<h2>Side by side</h2><p class="soft small legend">Every token is coloured by the divergence there, in nats: '
        f"{legend}. The base's and the baked answer show how far each is from the prompted model along its own words; "
        "the prompted answer shows how far the baked model is along it. ■ is the end of the turn.</p>"
        + "".join(map(_exhibit, exhibits))
    )


def _exhibit(exhibit: Exhibit) -> str:
    question = exhibit.answers.question
    expected = (
        f'<p class="soft small">expected: {escape(" or ".join(question.answers))}</p>' if question.answers else ""
    )
    said = "".join(_said(exhibit, condition) for condition in _SHOWN)
    return f'<div class="exhibit"><h3>{escape(question.text)}</h3>{expected}<div class="said">{said}</div></div>'


def _said(exhibit: Exhibit, condition: Condition) -> str:
    right = exhibit.answers.right
    mark = "" if right is None else "right" if right[condition] else "wrong"
    reply = exhibit.answers.replies[condition]
    tokens = (
        "".join(_tokens(exhibit.painted[condition], reply.stopped))
        if condition in exhibit.painted
        else escape(reply.text)
    )
    end = "" if reply.stopped else '<span class="end">… (cut off)</span>'
    return f'<div><h4>{escape(_TITLES[condition])}</h4><p class="{mark}">{tokens}{end}</p></div>'


def _tokens(painted: Painted, stopped: bool) -> Iterator[str]:
    """Every token as a coloured piece; the end of the turn, which has no text, as a small mark."""
    last = len(painted.pieces) - 1
    for place, (text, found) in enumerate(painted.pieces):
        level = sum(found >= step for step in _HEAT)
        shown = escape(text) or ('<span class="end">■</span>' if stopped and place == last else "")
        if shown:
            yield f'<span class="t t{level}" title="{decimal(max(0.0, found), 2)} nats">{shown}</span>'
