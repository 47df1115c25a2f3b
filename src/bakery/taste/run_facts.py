"""What the proof of a run says, for whoever talks to it: the verdict and the figures to remember, as plain data."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakery.errors import DataError
from bakery.evaluation.estimates import Estimate
from bakery.evaluation.verdict import HEADLINES
from bakery.report.summary import drift, percent
from bakery.settings.files import read_text

RESULTS = "results.json"
REPORT = "report.html"


@dataclass(frozen=True)
class Figure:
    """One figure in words: its value, what it is, and its 95 % interval where it has one."""

    value: str
    label: str
    small: str = ""


@dataclass(frozen=True)
class RunFacts:
    """What a finished run says of itself; all empty where nothing was proved."""

    level: str = ""
    headline: str = ""
    reasons: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    report: bool = False


def run_facts(folder: Path) -> RunFacts:
    """Read what a run folder says.

    Raises:
        DataError: its results are damaged.
    """
    path, report = folder / RESULTS, (folder / REPORT).is_file()
    if not path.is_file():
        return RunFacts(report=report)
    remedy = f"bakery eval --adapter {folder} measures the proof anew"
    text = read_text(path, DataError, if_empty=f"is damaged: it is empty; {remedy}")
    try:
        results = json.loads(text)
        verdict = results.get("verdict") or {"level": "unknown", "reasons": []}
        headline = HEADLINES[verdict["level"]]
        return RunFacts(verdict["level"], headline, tuple(verdict["reasons"]), tuple(_figures(results)), report)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: is damaged ({error}); {remedy}") from None


def _figures(results: Mapping[str, Any]) -> Iterator[Figure]:
    closed = (results.get("divergence") or {}).get("share_closed")
    if closed:
        yield _share(closed, "of the gap to the prompted model closed")
    scores = (results.get("scores") or {}).get(results.get("measured_on"))
    if scores:
        name, label = (
            ("accuracy", "right answers")
            if scores["baked"].get("accuracy")
            else ("agreement", "answers equal to the prompted model's")
        )
        if scores["baked"].get(name):
            yield _share(scores["baked"][name], label)
    if results.get("drift"):
        cell = drift(Estimate(**results["drift"]))
        yield Figure(cell.value, "changed under other prompts", cell.range)
    if results.get("prefix_tokens_saved"):
        yield Figure(str(round(results["prefix_tokens_saved"])), "prompt tokens saved per request")


def _share(estimate: Mapping[str, Any], label: str) -> Figure:
    cell = percent(Estimate(**estimate))
    return Figure(cell.value, label, cell.range)
