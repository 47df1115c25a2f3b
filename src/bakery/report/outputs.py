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
from bakery.manifest import MANIFEST, files_of, read_manifest, write_manifest
from bakery.report.model_card import model_card
from bakery.report.page import bake_page
from bakery.report.results import BakeResult, results, write_answers, write_json
from bakery.report.run_folder import accept_inputs, input_files
from bakery.rows.conversations import Message, as_row
from bakery.settings.run_state import RunState, read_state, write_state
from bakery.sharing.hub import HUB_ERRORS
from bakery.text import first_line
from bakery.training.trainer import CACHE, ContextBakingTrainer
from bakery.writing.written import ANCHORS, HELD_OUT, PROMPTS, copy_without_prefixes

_STAGING = ".staging"
_NOT_ALWAYS = ("answers.jsonl", "trajectories.jsonl")
"""What some bakes do not write: an older one's is removed."""
RESULTS = "results.json"


def write_outputs(result: BakeResult, settings: str, trainer: ContextBakingTrainer) -> None:
    """Adapter, tokenizer, model card, report.html, results.json, answers.jsonl, trajectories.jsonl and bakery.yaml.

    Without a proof there are no answers.

    They are written into a folder of their own, with a manifest of all files of the run, and then put where they
    belong; results.json, which marks a finished bake, comes last. Of several processes the first one calls this.
    """
    folder = result.output_dir
    staging = folder / _STAGING
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    save_adapter(trainer.model, trainer.processing_class, staging)
    trainer.write_date(staging)
    write_json(staging / RESULTS, results(result))
    if result.proof:
        write_answers(result.proof, staging / "answers.jsonl")
    (staging / "README.md").write_text(model_card(result), encoding="utf-8")
    (staging / "report.html").write_text(bake_page(result), encoding="utf-8")
    (staging / "bakery.yaml").write_text(settings, encoding="utf-8")
    write_trajectories(trainer, staging / "trajectories.jsonl")
    if not trainer.args.keep_prompt:
        copy_without_prefixes(folder, staging)
    paths = {name: folder / name for name in (PROMPTS, HELD_OUT, ANCHORS) if (folder / name).is_file()}
    paths |= input_files(folder) | {name: staging / name for name in files_of(staging)}
    write_manifest(staging, paths)
    state = read_state(folder)
    write_state(folder, RunState("moving", state.digests if state else {}))
    complete_outputs(folder)


def complete_outputs(folder: Path) -> None:
    """Put what `write_outputs` has written where it belongs; called again, it completes what was interrupted."""
    staging = folder / _STAGING
    if staging.is_dir():
        manifest = read_manifest(staging) or read_manifest(folder)
        stale = [name for name in _NOT_ALWAYS if manifest is None or name not in manifest.files]
        for name in ([RESULTS] if (staging / RESULTS).exists() else []) + stale:
            (folder / name).unlink(missing_ok=True)
        accept_inputs(folder, manifest.files if manifest else ())
        for path in sorted(staging.iterdir(), key=lambda path: (path.name == RESULTS, path.name == MANIFEST)):
            os.replace(path, folder / path.name)
        staging.rmdir()
    state = read_state(folder)
    write_state(folder, RunState("finished", state.digests if state else {}))
    shutil.rmtree(folder / CACHE, ignore_errors=True)


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
