"""Results people look at: the table in the terminal, the answers side by side, results.json and the model card."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bakery import __version__
from bakery.evaluation import Estimate, Proof

SCHEMA = 1
"""Version of results.json. It grows by new keys; an old key that changes its meaning raises it."""

_GALLERY = 6
_SET_TITLES = {"heldout": "held-out questions", "eval": "evaluation questions"}


@dataclass(frozen=True)
class BakeResult:
    """What one bake did.

    Args:
        output_dir: where the adapter and everything else lies.
        base_model: what the adapter belongs to, as the user named it.
        proof: what was measured afterwards.
        prefix_tokens: tokens of prompt that a request saves (the mean over rows).
        rows: that were trained on.
        steps: of the optimiser.
        final_loss: nats per token, the mean over training.
        seconds: by stage.
    """

    output_dir: Path
    base_model: str
    proof: Proof
    prefix_tokens: int
    rows: int
    steps: int
    final_loss: float
    seconds: dict[str, float]


def results(result: BakeResult) -> dict[str, Any]:
    """The content of results.json: plain numbers, divergences in nats per token."""
    return {
        "schema": SCHEMA,
        "bakery": __version__,
        "base_model": result.base_model,
        "scores": {
            name: {
                who: {"accuracy": e.mean, "stderr": e.stderr, "n": e.n}
                for who, e in (("base", found.base), ("prompted", found.prompted), ("baked", found.baked))
            }
            for name, found in result.proof.scores.items()
        },
        "divergence": {
            "before": result.proof.divergence.before.mean,
            "before_stderr": result.proof.divergence.before.stderr,
            "after": result.proof.divergence.after.mean,
            "after_stderr": result.proof.divergence.after.stderr,
            "share_closed": result.proof.divergence.share_closed,
            "rows": result.proof.divergence_rows,
            "tokens": result.proof.divergence.tokens,
        },
        "drift": result.proof.drift.mean if result.proof.drift else None,
        "drift_stderr": result.proof.drift.stderr if result.proof.drift else None,
        "prefix_tokens_saved": result.prefix_tokens,
        "training": {
            "rows": result.rows,
            "steps": result.steps,
            "final_loss": result.final_loss,
        },
        "seconds": {name: round(seconds, 3) for name, seconds in result.seconds.items()},
    }


def write_results(result: BakeResult, folder: Path) -> None:
    """results.json, answers.jsonl and the model card into `folder`."""
    _write_json(folder / "results.json", results(result))
    with (folder / "answers.jsonl").open("w", encoding="utf-8") as file:
        for name, found in result.proof.scores.items():
            for said in found.answers:
                row = {
                    "set": name,
                    "question": said.question.text,
                    "answer": list(said.question.answers),
                    "base": said.base,
                    "prompted": said.prompted,
                    "baked": said.baked,
                }
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    (folder / "README.md").write_text(model_card(result), encoding="utf-8")


def print_proof(result: BakeResult, console: Console) -> None:
    """The table, a few answers side by side, and how to use what was baked."""
    table = Table(title="What the bake did", title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for title in ("base", "prompted", "baked"):
        table.add_column(title, justify="right", no_wrap=True)
    for name, found in result.proof.scores.items():
        cells = [_percent(e) for e in (found.base, found.prompted, found.baked)]
        table.add_row(f"right, {found.base.n} {_SET_TITLES.get(name, name)}", *cells)
    d = result.proof.divergence
    table.add_row(
        f"nats per token from the prompted model ({result.proof.divergence_rows} rows)",
        _nats(d.before),
        "0",
        f"{_nats(d.after)}   ({d.share_closed:.1%} closed)",
    )
    if result.proof.drift:
        table.add_row("nats per token from the base, other prompts", "0", "", _nats(result.proof.drift))
    table.add_row("prompt tokens per request", "0", str(result.prefix_tokens), "0")
    console.print()
    console.print(table)
    _print_gallery(result, console)
    seconds = ", ".join(f"{name} {spent:.1f}" for name, spent in result.seconds.items() if name != "bake")
    console.print()
    console.print(f"Baked in {result.seconds.get('bake', 0.0):.1f} s ({seconds}).", highlight=False)
    console.print(f"The adapter is in {result.output_dir}. Five lines to use it:\n", highlight=False)
    console.print(Text(usage(result)), highlight=False)


def usage(result: BakeResult) -> str:
    """Five lines of transformers and peft that load the adapter and ask it something."""
    question = next((s.answers[0].question.text for s in result.proof.scores.values() if s.answers), "Who are you?")
    return f"""\
    from peft import AutoPeftModelForCausalLM; from transformers import AutoTokenizer
    model = AutoPeftModelForCausalLM.from_pretrained({str(result.output_dir)!r})
    tokenizer = AutoTokenizer.from_pretrained({str(result.output_dir)!r})
    chat = tokenizer.apply_chat_template([{{"role": "user", "content": {question!r}}}], add_generation_prompt=True, return_tensors="pt", return_dict=True)
    print(tokenizer.decode(model.generate(**chat, max_new_tokens=64)[0, chat["input_ids"].shape[1]:], skip_special_tokens=True))
"""  # noqa: E501


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
        "| | base | prompted | baked |",
        "|---|---:|---:|---:|",
    ]
    for name, found in result.proof.scores.items():
        cells = " | ".join(_percent(e) for e in (found.base, found.prompted, found.baked))
        lines.append(f"| right, {found.base.n} {_SET_TITLES.get(name, name)} | {cells} |")
    d = result.proof.divergence
    lines.append(
        f"| nats per token from the prompted model ({result.proof.divergence_rows} rows) | {_nats(d.before)} | 0 "
        f"| {_nats(d.after)} ({d.share_closed:.1%} closed) |"
    )
    if result.proof.drift:
        lines.append(f"| nats per token from the base, other prompts | 0 | | {_nats(result.proof.drift)} |")
    lines += ["", "## Use", "", "```python", usage(result).rstrip(), "```", ""]
    lines += [
        "Errors are standard errors over questions. `results.json` holds every figure, `bakery.yaml` the settings."
    ]
    return "\n".join(lines) + "\n"


def _print_gallery(result: BakeResult, console: Console) -> None:
    answers = [said for found in result.proof.scores.values() for said in found.answers]
    if not answers:
        return
    step = max(1, len(answers) // _GALLERY)
    table = Table(title="\nSide by side", title_justify="left", title_style="bold", box=None, pad_edge=False)
    for title in ("question", "base", "prompted", "baked"):
        table.add_column(title, overflow="fold", ratio=1)
    for said in answers[::step][:_GALLERY]:
        style = "green" if said.baked == said.prompted else "yellow"
        cells = (Text(said.question.text), Text(said.base), Text(said.prompted), Text(said.baked, style=style))
        table.add_row(*cells)
    console.print(table)


def _percent(estimate: Estimate) -> str:
    return f"{estimate.mean:.1%} ± {estimate.stderr:.1%}"


def _nats(estimate: Estimate) -> str:
    return f"{estimate.mean:.4f} ± {estimate.stderr:.4f}"


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
