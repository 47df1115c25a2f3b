"""The model card: README.md of the adapter, with the proof as tables."""

from bakery import __version__
from bakery.report.results import BakeResult
from bakery.report.summary import COLUMNS
from bakery.report.usage import usage

_USE = """
## Use

```python
{usage}
```
"""
_CARD = """\
---
base_model: {base_model}
library_name: peft
pipeline_tag: text-generation
tags: [lora, context-distillation, bakery]
---

# A baked context

A LoRA adapter for `{base_model}`, trained to answer as if it had been given a prompt of {prefix_tokens} tokens, without
the prompt. Made with bakery {version}.

**{headline}**

{reasons}

{tables}

{footnote}
{use}
`results.json` holds every figure{answers}, `report.html` shows them, `bakery.yaml` has the settings.
"""


def model_card(result: BakeResult) -> str:
    """README.md of the adapter. The baked prompt itself is not in it: whoever shares the adapter decides that."""
    told = result.summary
    warned = ((("**Warning:** " if one.level == "warning" else "") + one.text) for one in told.others)
    tables = []
    for title, lines in told.sections.items():
        rows = [[title, *COLUMNS.values()], ["---", *["---:"] * len(COLUMNS)]]
        for label, cells in lines.items():
            rows.append([label, *(f"{c.value} ({c.range})" if c.range else c.value for c in cells)])
        escaped = ([cell.replace("|", "\\|") for cell in row] for row in rows)
        tables.append("\n".join(f"| {' | '.join(row)} |" for row in escaped))
    return _CARD.format(
        base_model=result.base_model,
        prefix_tokens=result.prefix_tokens,
        version=__version__,
        headline=told.verdict.headline,
        reasons="\n".join(f"- {text}" for text in (*told.verdict.reasons, *warned)),
        tables="\n\n".join(tables),
        footnote=told.footnote("Figures in brackets"),
        answers=", `answers.jsonl` every answer" if told.answered else "",
        use=_USE.format(usage=usage(result)) if told.verdict.usable else "",
    )
