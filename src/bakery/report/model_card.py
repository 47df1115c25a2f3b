"""The model card: README.md of the adapter, with the proof as tables."""

from bakery import __version__
from bakery.evaluation.verdict import others, verdict
from bakery.report.results import BakeResult
from bakery.report.summary import COLUMNS, FOOTNOTE, left_out, sections
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

A LoRA adapter for `{base_model}` that makes it answer as if it had been given a prompt of {prefix_tokens} tokens,
without the prompt. Made with bakery {version}.

**{headline}**

{reasons}

{tables}

{footnote}
{use}
`results.json` holds every figure, `answers.jsonl` every answer, `report.html` shows both, `bakery.yaml` has the
settings.
"""


def model_card(result: BakeResult) -> str:
    """README.md of the adapter. The baked prompt itself is not in it: whoever shares the adapter decides that."""
    reached = verdict(result.proof)
    warned = ((("**Warning:** " if one.level == "warning" else "") + one.text) for one in others(result.proof))
    tables = []
    for title, lines in sections(result.proof, result.pay_off).items():
        rows = [[title, *COLUMNS.values()], ["---", *["---:"] * len(COLUMNS)]]
        for label, cells in lines.items():
            rows.append([label, *(f"{c.value} ({c.range})" if c.range else c.value for c in cells)])
        escaped = ([cell.replace("|", "\\|") for cell in row] for row in rows)
        tables.append("\n".join(f"| {' | '.join(row)} |" for row in escaped))
    return _CARD.format(
        base_model=result.base_model,
        prefix_tokens=result.prefix_tokens,
        version=__version__,
        headline=reached.headline,
        reasons="\n".join(f"- {text}" for text in (*reached.reasons, *warned)),
        tables="\n\n".join(tables),
        footnote=f"{FOOTNOTE.format(small='Figures in brackets')} {left_out(result.proof)}".rstrip(),
        use=_USE.format(usage=usage(result)) if reached.usable else "",
    )
