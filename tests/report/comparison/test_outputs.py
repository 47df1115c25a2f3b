"""compare.json is as documented, in plain numbers; the terminal's tables fit 80 columns."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bakery.engine.distill.conditions import BASE, PROMPTED
from bakery.evaluation.paired import PairedFigure
from bakery.report.comparison.outputs import comparison_figures, print_comparison, write_comparison
from tests.comparison_support import CONDITIONS, FIRST, SECOND, closed, drifted, made_result, names, right
from tests.report.test_results import keys, matches

DOCUMENT = Path(__file__).parents[3] / "docs" / "results.md"
RIGHTS = ([True] * 40, [True] * 38 + [False] * 2, [False] * 40)


def result_of(count: int):
    rights = RIGHTS[:count]
    exact = PairedFigure("divergence", "heldout", *_tiny(count))
    figures = [closed(0.99942, 0.93, 0.2), exact, right(*rights), drifted(0.1, 0.2, 0.3)]
    shown = (BASE, PROMPTED, *CONDITIONS[:count])
    figures = [replace(one, sums={c: one.sums[c] for c in shown if c in one.sums}) for one in figures]
    return made_result(*rights, figures=figures, adapters=[{}, {"trained_on": frozenset(names(3))}])


def _tiny(count: int):
    """Distances with long intervals such as 0.0011–0.0023."""
    base = right(*RIGHTS[:count])
    sums = {c: tuple(0.001 + 0.003 * (at % 3) for at in range(40)) for c in base.sums if c != PROMPTED}
    sums[BASE] = tuple(6.0 + at % 3 for at in range(40))
    return base.prompts, (2.0,) * 40, sums


@pytest.fixture(scope="module")
def result():
    return result_of(2)


def test_every_key_is_documented_and_every_documented_key_is_there(result):
    written = keys(json.loads(json.dumps(comparison_figures(result))))
    about = DOCUMENT.read_text("utf-8").partition("## compare.json")[2].partition("\n## ")[0]
    documented = re.findall(r"^\| `([^`]+)` \|", about, flags=re.MULTILINE)
    assert [key for key in sorted(written) if not any(matches(key, pattern) for pattern in documented)] == []
    unused = [pattern for pattern in documented if not any(matches(key, pattern) for key in written)]
    assert unused == ["left_out[]"], "here nothing was left out"


def test_what_is_written_is_what_was_measured(result, tmp_path):
    write_comparison(replace(result, output_dir=tmp_path / "new" / "folder"))
    folder = tmp_path / "new" / "folder"
    assert sorted(path.name for path in folder.iterdir()) == ["compare.html", "compare.json"]
    figures = json.loads((folder / "compare.json").read_text("utf-8"), parse_constant=pytest.fail)
    by_name = {figure["figure"]: figure for figure in figures["figures"]}
    told = result.figure("right").difference(SECOND, FIRST)
    (difference,) = by_name["right"]["from_first"]
    assert {name: difference[name] for name in vars(told)} == vars(told)
    assert difference["judgement"] == "unclear"
    assert by_name["right"]["adapters"][1]["mean"] == 0.95
    assert by_name["share_closed"]["prompted"] is None
    assert len(by_name["right"]["from_prompted"]) == 2
    assert by_name["drift"]["from_prompted"] is None
    assert (figures["unseen"]["questions"], figures["asked"], figures["seconds"]) == (37, 40, {"gap": 1.235})
    assert [one["trained_on"] for one in figures["adapters"]] == [0, 3]
    first = figures["questions"][0]
    assert (first["right"], first["as_prompted"], first["trained_on"]) == ([True, False], [True, False], [False, False])


def test_adapters_that_do_not_fit_side_by_side_are_shown_below():
    file = io.StringIO()
    print_comparison(result_of(3), Console(file=file, width=60))
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= 60
    assert sum(line.startswith("Figures") for line in lines) == 4, "two parts, of all questions and of those unseen"
    assert len(re.findall(r"0\.0016–0\.002[34]", file.getvalue())) == 6, "no figure is broken"


@pytest.mark.parametrize("count", [2, 3])
def test_the_terminal_fits_eighty_columns(count):
    file = io.StringIO()
    result = result_of(count)
    long = tuple(replace(one, label=f"outputs/a-long-name-{one.label}") for one in result.adapters)
    for shown in (result, replace(result, adapters=long)):
        print_comparison(shown, Console(file=file, width=80))
    text = file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "B closes 6.9 points less of the gap than A (" in " ".join(text.split())
    assert len(re.findall(r"0\.0016–0\.0023", text)) >= 2 * count, "no figure is broken"
    for part in ("Compared with A", "Compared with the prompted model", "On the 37 questions", "worse", "unclear"):
        assert part in text
