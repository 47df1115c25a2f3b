"""Results people read: the verdict and the table in the terminal, answers side by side, and the model card."""

import json
from collections.abc import Sequence

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bakery import __version__
from bakery.engine.distill.conditions import BAKED, BASE, PROMPTED
from bakery.evaluation.findings import findings
from bakery.evaluation.proof import Answers, Proof
from bakery.progress import Spent
from bakery.report.page import page
from bakery.report.results import BakeResult
from bakery.report.summary import COLUMNS, FOOTNOTE, Section, sections

_GALLERY = 6
_LONGEST_ANSWER = 200
_LONGEST_ASKED = 34
_MARKS = {"warning": ("!", "bold red"), "good": ("✓", "bold green"), "note": ("·", "dim")}


def print_proof(result: BakeResult, console: Console) -> None:
    """The verdict, the table, a few answers side by side, and how to use what was baked."""
    print_figures(result.proof, console, result.break_even)
    console.print()
    console.print(time_table(result.spent))
    console.print()
    if result.stopped_early:
        console.print(Text(f"Stopped after {result.steps} steps: {result.stopped_early}."))
    folder = str(result.output_dir)
    console.print(
        Text.assemble("The adapter is in ", (folder, "bold"), "; look at ", (f"{folder}/report.html", "bold"))
    )
    console.print("Use it:\n")
    # Soft wrapping leaves the lines as they are: what is copied is what was meant.
    console.print(Text(usage(result), style="cyan"), soft_wrap=True)


def time_table(stages: Sequence[Spent]) -> Table:
    """Where the time went, a stage a line, and the whole; what was all taken over from an earlier run is found."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Where the time went", min_width=22)
    for title in ("time", "share", "tokens", "tokens/s"):
        table.add_column(title, justify="right", no_wrap=True)
    whole = sum(spent.seconds for spent in stages)
    for spent in stages:
        reused = spent.reused and not spent.tokens
        time = "reused" if reused else f"{spent.seconds:.1f} s"
        share = f"{100 * spent.seconds / whole:.0f} %"
        tokens = f"{spent.tokens or spent.reused:,}" if spent.tokens or spent.reused else ""
        rate = f"{spent.tokens / spent.seconds:,.0f}" if spent.tokens and spent.seconds else ""
        table.add_row(f"  {spent.stage}", time, share, tokens, rate)
    table.add_row("  whole", f"{whole:.1f} s", "100 %")
    return table


def print_figures(proof: Proof, console: Console, break_even: int | None = None) -> None:
    """The verdict, the table, and a few answers side by side."""
    console.print()
    for finding in findings(proof):
        mark, style = _MARKS[finding.level]
        grid = Table.grid(padding=(0, 1))
        grid.add_row(Text(mark, style=style), Text(finding.text, style=style if finding.level != "good" else "bold"))
        console.print(grid)
    console.print()
    console.print(_table(sections(proof, break_even)))
    console.print(Padding(Text(FOOTNOTE.format(small="The small figures"), style="dim"), (1, 0, 0, 0)))
    console.print()
    console.print(_side_by_side(_spread(proof.main_set.answers)))


def usage(result: BakeResult) -> str:
    """Five lines of transformers and peft that load the adapter and ask it something; none has over 100 characters."""
    answers = result.proof.main_set.answers
    question = next((said.question.text for said in answers if _fits(said)), "Who are you?")
    return "\n".join(
        (
            "from peft import AutoPeftModelForCausalLM",
            "from transformers import pipeline",
            f"model = AutoPeftModelForCausalLM.from_pretrained(folder := {_quoted(str(result.output_dir))})",
            'ask = pipeline("text-generation", model, tokenizer=folder, return_full_text=False)',
            f'print(ask([{{"role": "user", "content": {_quoted(question)}}}])[0]["generated_text"])',
        )
    )


def model_card(result: BakeResult) -> str:
    """README.md of the adapter. The baked prompt itself is not in it: whoever shares the adapter decides that."""
    lines = [
        "---",
        f"base_model: {result.base_model}",
        "library_name: peft",
        "pipeline_tag: text-generation",
        "tags: [lora, context-distillation, bakery]",
        "---",
        "",
        "# A baked context",
        "",
        f"A LoRA adapter for `{result.base_model}` that makes it answer as if it had been given a prompt of "
        f"{result.prefix_tokens} tokens, without the prompt. Made with bakery {__version__}.",
        "",
    ]
    lines += [f"- {'**Mind:** ' if found.level == 'warning' else ''}{found.text}" for found in findings(result.proof)]
    for section in sections(result.proof, result.break_even):
        lines += ["", f"| {section.title} | {' | '.join(COLUMNS)} |", f"|---|{'---:|' * len(COLUMNS)}"]
        for line in section.lines:
            cells = (f"{cell.value} ({cell.range})" if cell.range else cell.value for cell in line.cells)
            lines.append("| " + " | ".join(text.replace("|", "\\|") for text in (line.label, *cells)) + " |")
    lines += ["", FOOTNOTE.format(small="Figures in brackets"), "", "## Use", ""]
    lines += ["```python", usage(result), "```", ""]
    lines += [
        "`results.json` holds every figure, `answers.jsonl` every answer, `report.html` shows both, `bakery.yaml` has "
        "the settings."
    ]
    return "\n".join(lines) + "\n"


def report_page(result: BakeResult) -> str:
    """report.html of a bake."""
    spent = result.seconds.get("bake", 0.0)
    return page(
        result.proof,
        "A baked context",
        f"A prompt of {result.prefix_tokens} tokens, baked into {result.base_model} in {spent:.0f} s: "
        f"{result.rows:,} rows, {result.steps:,} steps.",
        curve=result.curve,
        usage=usage(result),
        break_even=result.break_even,
    )


def _table(shown: Sequence[Section]) -> Table:
    """All sections in one table, so that their columns stand under each other."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(overflow="fold", max_width=42)
    for _ in COLUMNS:
        table.add_column(justify="right", no_wrap=True)
    for number, section in enumerate(shown):
        titles = [Text(name, style="bold") for name in COLUMNS] if number == 0 else [""] * len(COLUMNS)
        if number:
            table.add_row("")
        table.add_row(Text(section.title, style="bold"), *titles)
        for line in section.lines:
            cells = [
                Group(cell.value, Text(cell.range, style="dim")) if cell.range else cell.value for cell in line.cells
            ]
            table.add_row(Padding(Text(line.label), (0, 0, 0, 2)), *cells)
    return table


def _side_by_side(answers: Sequence[Answers]) -> Table:
    table = Table(
        title="Side by side", title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 1, 0)
    )
    for title in ("question", *COLUMNS[:3]):
        table.add_column(title, overflow="fold", ratio=1)
    for said in answers:
        base, prompted, baked = (said.replies[condition] for condition in (BASE, PROMPTED, BAKED))
        table.add_row(
            Text(_short(said.question.text), style="bold"),
            Text(_short(base.text)),
            Text(_short(prompted.text)),
            Text(_short(baked.text), style="green" if baked.ids == prompted.ids else "yellow"),
        )
    return table


def _spread(answers: Sequence[Answers]) -> list[Answers]:
    """A few answers, spread evenly over all questions."""
    count = min(_GALLERY, len(answers))
    return [answers[at * len(answers) // count] for at in range(count)]


def _fits(said: Answers) -> bool:
    return len(_quoted(said.question.text)) <= _LONGEST_ASKED and len(said.question.messages) == 1


def _short(text: str) -> str:
    """An answer on the terminal: no character that could move the cursor, and not too long."""
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text if len(text) <= _LONGEST_ANSWER else text[: _LONGEST_ANSWER - 1] + "…"


def _quoted(text: str) -> str:
    """A Python string literal in double quotes."""
    return json.dumps(text, ensure_ascii=False)
