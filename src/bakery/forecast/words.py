"""A forecast in words: one line before a bake, a shorter one while it runs, and a table for `--plan`."""

from bakery.forecast.figures import Forecast, Memory, Range
from bakery.text import size

_MINUTE, _HOUR = 90, 5400
"""Seconds from which minutes and hours are told."""
_NOTICEABLE = 1.3
_SHORT = 5.0
"""Seconds that are not worth a word."""
_TITLES = {"writing": "writing prompts", "gap": "measuring the gap", "sampling": "sampling answers",
           "teacher": "asking the teacher", "training": "training", "proof": "measuring the proof"}  # fmt: skip


def line(forecast: Forecast) -> str:
    """Everything in one line; a second one where the memory does not suffice."""
    memory = forecast.memory
    end = ""
    if forecast.open_ended:
        limit = f", {forecast.limit_minutes:g} min at most" if forecast.limit_minutes else ""
        end = f", as training goes on until more does not help{limit}"
    told = (
        f"  expected: {duration(forecast.seconds)} here for {tokens(forecast.sampled)} tokens written and "
        f"{tokens(forecast.read)} read{end}; {size(memory.peak)} of memory"
    )
    return told if memory.fits else f"{told}\n  warning: {too_large(memory)}"


def correction(now: Range, told: Range) -> str | None:
    """What is left, where it is noticeably more or less than what was told; else nothing."""
    if abs(now.middle - told.middle) < _SHORT or 1 / _NOTICEABLE < now.middle / max(told.middle, 1e-9) < _NOTICEABLE:
        return None
    return f"  corrected: {duration(now)} to go"


def too_large(memory: Memory) -> str:
    """That the memory does not suffice, and what to do."""
    remedy = "lower token_budget" if memory.activations + memory.logits > memory.weights / 2 else "set load_in_4bit"
    other = "set load_in_4bit" if remedy == "lower token_budget" else "take a smaller model"
    return (
        f"needs about {size(memory.peak)}, the {memory.device} has {size(memory.available or 0)}; {remedy} or {other}"
    )


def table(forecast: Forecast, model: str) -> str:
    """Every part with its tokens and seconds, and the memory, as text in columns."""
    lines = [f"A bake into {model}, as far as can be told before it", ""]
    lines.append(f"  {'':<22}{'tokens written':>18}{'tokens read':>18}{'time':>18}")
    for part in forecast.parts:
        row = (tokens(part.sampled), tokens(part.read), duration(part.seconds))
        lines.append(f"  {_TITLES[part.name]:<22}" + "".join(f"{cell:>18}" for cell in row))
    row = (tokens(forecast.sampled), tokens(forecast.read), duration(forecast.seconds))
    lines += [f"  {'all':<22}" + "".join(f"{cell:>18}" for cell in row), ""]
    lines.append(f"  Measured here with this model: {speeds(forecast)}.")
    if forecast.open_ended:
        steps = f"{forecast.steps.low:,.0f} to {forecast.steps.high:,.0f}"
        lines.append(f"  Training goes on until more does not help: {steps} steps are usual, and it may take more.")
        lines.append("  num_train_epochs or max_steps say how many; max_minutes says when to end.")
    if forecast.limit_minutes:
        lines.append(f"  Training ends after max_minutes: {forecast.limit_minutes:g}, what comes before it included.")
    memory = forecast.memory
    held = (
        ("weights", memory.weights),
        ("adapter, gradients, optimiser", memory.adapter),
        ("activations of a training pass", memory.activations),
        ("keys and values of a sampling batch", memory.keys_values),
        ("logits of a sampling batch", memory.logits),
        ("what is stored of the teacher", memory.signal),
        ("what the libraries keep while they compute", memory.libraries),
        ("memory at most at a time", memory.peak),
    )
    lines += ["", *(f"  {name:<58}{size(held_bytes):>18}" for name, held_bytes in held if held_bytes)]
    if memory.available is not None:
        lines.append(f"  {'memory of the ' + memory.device:<58}{size(memory.available):>18}")
    if not memory.fits:
        lines += ["", f"  It does not fit: {too_large(memory)}."]
    return "\n".join([*lines, "", "  Nothing was trained and nothing written."])


def speeds(forecast: Forecast) -> str:
    """Tokens a second, written and read and trained."""
    base, trained = forecast.rates.base, forecast.rates.adapted
    written = _per_second(base.sampled + base.passes / _ROWS)
    return f"{written} written, {_per_second(base.read)} read and {_per_second(trained.trained)} trained tokens/s"


_ROWS = 64
"""Rows of the batch whose speed of writing is told."""


def _per_second(seconds: float) -> str:
    return f"{_rounded(1 / seconds):,}" if seconds > 0 else "many"


def duration(seconds: Range) -> str:
    """Seconds, minutes or hours, rounded to what can be known."""
    low, high = (_time(bound) for bound in (seconds.low, seconds.high))
    if low == high:
        return low
    return f"{low.split()[0]} to {high}" if low.split()[1:] == high.split()[1:] else f"{low} to {high}"


def _time(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{_rounded(seconds)} s" if seconds >= 1 else f"{seconds:.1f} s"
    value, unit = (seconds / 60, "min") if seconds < _HOUR else (seconds / 3600, "h")
    return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"


def tokens(count: Range) -> str:
    """A count, or two."""
    low, high = (f"{_rounded(bound):,}" for bound in (count.low, count.high))
    return low if low == high else f"{low} to {high}"


def _rounded(value: float) -> int:
    """Two figures: more would be pretence."""
    return int(float(f"{value:.2g}"))
