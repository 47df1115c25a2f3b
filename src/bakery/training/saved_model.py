"""What `save_model` writes beside an adapter: the date, a card, and what `bakery eval` needs to prove it.

bakery.yaml               the context and the base, with paths from its own folder
inputs/dataset.jsonl      the rows that were trained on
inputs/eval_dataset.jsonl those that were measured on
README.md                 the card: what is known, and that nothing is proved
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peft import PeftModel

from bakery import __version__
from bakery.rows.conversations import Conversation, as_row, unanswered
from bakery.settings.documents import dump_yaml
from bakery.settings.paths import STARTER, resolve_model
from bakery.settings.relative_paths import INPUTS, base_from

if TYPE_CHECKING:
    from bakery.chat.views import ViewBuilder
    from bakery.training.trainer import ContextBakingTrainer

_CARD = """\
---
{base_line}library_name: peft
pipeline_tag: text-generation
tags: [lora, context-distillation, bakery]
---

# A baked context, not proved

A LoRA adapter for {base}, trained on {rows:,} rows for {steps:,} steps to answer as if it had been given a
prompt, without the prompt. Made with bakery {version}.

Nothing was measured yet: how much of the prompt it has learned, and what else has changed. To prove it, here:

```bash
bakery eval --adapter .
```

`bakery.yaml` and `inputs/` hold what that needs{asked}.
"""


def write_saved_model(trainer: ContextBakingTrainer, folder: Path) -> None:
    """Card, settings and rows of a trainer's adapter into the folder where the adapter lies."""
    args, rows, builder = trainer.args, trainer.rows, trainer.session.builder
    base = _base_name(trainer.session.model)
    keeps = bool(args.keep_prompt)
    files = {"dataset": rows.train, "eval_dataset": [row for own in rows.validation.values() for row in own]}
    if not keeps:
        files = {name: own for name, own in files.items() if not any(row.prefix for row in own)}
    settings = {
        "relative_to_file": True,
        "keep_prompt": keeps,
        **({"model_name_or_path": base_from(folder, base)} if base else {}),
        **_context(builder, keeps=keeps),
        **{name: f"./{INPUTS}/{name}.jsonl" for name, own in files.items() if own},
        "eval_dataset_split": None,
        "validation_share": 0,  # rows that were trained on are no others
        "self_prompts": 0,
        "self_anchors": 0,
        "trajectory_length": args.trajectory_length,
        "thinking_length": args.thinking_length,
        "eval_max_new_tokens": args.eval_max_new_tokens,
        "temperature": args.temperature,
        "beta": args.beta,
        "seed": args.seed,
        "output_dir": ".",
    }
    (folder / INPUTS).mkdir(exist_ok=True)
    for name, own in files.items():
        if own:
            (folder / INPUTS / f"{name}.jsonl").write_text(_lines(own), encoding="utf-8")
    text = f"# Settings to evaluate this adapter: bakery eval --adapter DIR\n\n{dump_yaml(settings)}"
    (folder / "bakery.yaml").write_text(text, encoding="utf-8")
    card = _CARD.format(
        base_line=f"base_model: {base_from(folder, base)}\n" if base else "",
        base=f"`{base_from(folder, base)}`" if base else "a model that was given without its name",
        rows=len(rows.train),
        steps=trainer.state.global_step,
        version=__version__,
        asked="" if keeps else ", but the prompt, which has to be given as `--system_prompt`",
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


def _base_name(model: Any) -> str:
    """What the adapter's base is called; empty where nobody knows."""
    adapter = model.peft_config[model.active_adapter] if isinstance(model, PeftModel) else None
    name = str(getattr(adapter, "base_model_name_or_path", None) or "")
    return STARTER if name == resolve_model(STARTER) else name


def _context(builder: ViewBuilder, *, keeps: bool) -> dict[str, Any]:
    """The settings from which the views were made."""
    rules = builder.rules
    return {
        "prefix_messages": [dict(message) for message in rules.prefix] or None if keeps else None,
        "student_retained_turns": rules.retained,
        "target_roles": sorted(builder.roles),
        "target_content_pattern": builder.content_pattern.text if builder.content_pattern else None,
        "target_span_pattern": builder.span_pattern.text if builder.span_pattern else None,
        "target_thinking": builder.target_thinking,
        "system_role": "fold" if rules.fold else "native",
        "student_system": "empty" if rules.empty_system else "none",
        "chat_template_kwargs": {**builder.renderer.kwargs, **builder.thinking_off} or None,
    }


def _lines(rows: Sequence[Conversation]) -> str:
    """Rows as JSONL; without answers, where only some have one."""
    if not all(row.answered for row in rows):
        rows = [unanswered(row) for row in rows]
    return "".join(json.dumps(as_row(row), ensure_ascii=False) + "\n" for row in rows)
