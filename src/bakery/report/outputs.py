"""What a finished bake leaves in `output_dir`, moved there only when all of it is written."""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from bakery.chat.thinking import ThinkingTokens
from bakery.engine.model.loading import save_adapter
from bakery.errors import ResourceError
from bakery.report.model_card import model_card
from bakery.report.page import bake_page
from bakery.report.results import BakeResult, results, write_answers, write_json
from bakery.report.run_folder import accept_inputs
from bakery.rows.conversations import Message, as_row
from bakery.sharing.hub import HUB_ERRORS, first_line
from bakery.training.trainer import ContextBakingTrainer
from bakery.writing.written import remove_prefixes

_STAGING = ".staging"
_NOT_ALWAYS = ("answers.jsonl", "trajectories.jsonl")
"""What some bakes do not write: an older one's is removed."""


def write_outputs(result: BakeResult, settings: str, trainer: ContextBakingTrainer) -> None:
    """Adapter, tokenizer, model card, report.html, results.json, answers.jsonl, trajectories.jsonl and bakery.yaml.

    Without a proof there are no answers.

    They are written into a folder of their own and then moved one by one; results.json, which marks a finished bake,
    comes last. Of several processes the first one calls this.
    """
    folder = result.output_dir
    staging = folder / _STAGING
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    save_adapter(trainer.model, trainer.processing_class, staging)
    trainer.write_date(staging)
    write_json(staging / "results.json", results(result))
    if result.proof:
        write_answers(result.proof, staging / "answers.jsonl")
    (staging / "README.md").write_text(model_card(result), encoding="utf-8")
    (staging / "report.html").write_text(bake_page(result), encoding="utf-8")
    (staging / "bakery.yaml").write_text(settings, encoding="utf-8")
    write_trajectories(trainer, staging / "trajectories.jsonl")
    for name in ("results.json", *(name for name in _NOT_ALWAYS if not (staging / name).exists())):
        (folder / name).unlink(missing_ok=True)
    accept_inputs(folder)
    if not trainer.args.keep_prompt:
        remove_prefixes(folder)
    for path in sorted(staging.iterdir(), key=lambda path: path.name == "results.json"):
        os.replace(path, folder / path.name)
    staging.rmdir()
    shutil.rmtree(trainer.cache_folder, ignore_errors=True)


def publish(result: BakeResult, trainer: ContextBakingTrainer) -> None:
    """Upload what of the finished folder may be shared, where `push_to_hub` asks for it.

    Raises:
        ResourceError: the hub does not take it.
    """
    if not trainer.args.push_to_hub:
        return
    try:
        trainer.push_files(trainer.shared(result.output_dir), "Bake")
    except HUB_ERRORS as error:
        raise ResourceError(
            f"push_to_hub: {trainer.hub_model_id} did not take the upload ({first_line(error)}); "
            f"the finished bake lies in {result.output_dir}"
        ) from error


def write_trajectories(trainer: ContextBakingTrainer, path: Path) -> None:
    """The sampled answers as a data set that can be read, edited and given back as `dataset`; nothing if none were."""
    if not trainer.trajectories:
        return
    tokenizer = trainer.processing_class
    with path.open("w", encoding="utf-8") as file:
        for conversation, answers in trainer.trajectories:
            for sampled in answers:
                answer = _message(sampled.trajectory.ids, trainer.session.builder.thinking, tokenizer)
                prefix = conversation.prefix if trainer.args.keep_prompt else None
                row = replace(conversation, messages=(*conversation.messages, answer), prefix=prefix)
                file.write(json.dumps(as_row(row), ensure_ascii=False) + "\n")


def _message(ids: Sequence[int], thinking: ThinkingTokens | None, tokenizer: PreTrainedTokenizerBase) -> Message:
    """A sampled answer, its thoughts beside its content; all of it is content where these have no end."""
    begin = (thinking.answer(ids) if thinking else None) or 0
    content = {"role": "assistant", "content": tokenizer.decode(list(ids[begin:]), skip_special_tokens=True)}
    if thinking is None or not begin:
        return content
    thoughts = tokenizer.decode(list(thinking.thoughts(ids)), skip_special_tokens=True)
    return {**content, "reasoning_content": thoughts.strip("\n")}
