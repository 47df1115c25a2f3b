"""What a finished bake leaves in `output_dir`, moved there only when all of it is written."""

import json
import os
import shutil
from pathlib import Path

from bakery.config import BakeSettings
from bakery.models import save_adapter
from bakery.report import model_card
from bakery.results import BakeResult, write_results
from bakery.settings import to_yaml
from bakery.trainer import ContextBakingTrainer

_STAGING = ".staging"


def write_outputs(result: BakeResult, settings: BakeSettings, trainer: ContextBakingTrainer) -> None:
    """Adapter, tokenizer, model card, results.json, answers.jsonl, trajectories.jsonl and bakery.yaml.

    They are written beside their place and then moved into it one by one; results.json, which marks a finished bake,
    comes last.
    """
    folder = result.output_dir
    staging = folder / _STAGING
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    save_adapter(trainer.model, trainer.processing_class, staging)
    write_results(result, staging)
    (staging / "README.md").write_text(model_card(result), encoding="utf-8")
    (staging / "bakery.yaml").write_text(to_yaml(settings), encoding="utf-8")
    write_trajectories(trainer, staging / "trajectories.jsonl")
    (folder / "results.json").unlink(missing_ok=True)
    for path in sorted(staging.iterdir(), key=lambda path: path.name == "results.json"):
        os.replace(path, folder / path.name)
    staging.rmdir()


def write_trajectories(trainer: ContextBakingTrainer, path: Path) -> None:
    """The sampled answers as a data set that can be read, edited and given back as `dataset`; nothing if none were."""
    if not trainer.trajectories:
        return
    tokenizer = trainer.processing_class
    with path.open("w", encoding="utf-8") as file:
        for conversation, pairs in trainer.trajectories:
            for pair in pairs:
                said = [pair.student_ids[target] for target in pair.student_targets]
                answer = {"role": "assistant", "content": tokenizer.decode(said, skip_special_tokens=True)}
                row = {"messages": [*conversation.messages, answer]}
                if conversation.prefix is not None:
                    row["prefix_messages"] = list(conversation.prefix)
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
