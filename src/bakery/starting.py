"""How a bake begins in its output folder: anew, where a run that was stopped left off, or not at all.

The same command goes on. What decides what is learned, settings and rows, is remembered in the folder as digests; a run
that was stopped is gone on with only where they are the same. Nothing is removed unless `overwrite` says so.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bakery.errors import ConfigError
from bakery.report.outputs import RESULTS, complete_outputs
from bakery.rows.bake_data import BakeData
from bakery.rows.conversations import Conversation, as_row
from bakery.rows.questions import ScoredQuestion
from bakery.settings.build import BakeSettings
from bakery.settings.checks import PATH_KEYS, PREFIX_KEYS
from bakery.settings.config import BakingFields
from bakery.settings.paths import check_output
from bakery.settings.run_state import AUTO, RunState, locked, read_state, write_state
from bakery.text import listed
from bakery.training.checkpoints import checkpoints, remove_checkpoints
from bakery.writing.written import remove_written

_LEARNED = (
    "per_device_train_batch_size max_steps lr_scheduler_kwargs optim optim_args weight_decay adam_beta1 adam_beta2 "
    "adam_epsilon optim_target_modules gradient_accumulation_steps max_grad_norm bf16 fp16 tf32 neftune_noise_alpha "
    "eval_strategy eval_steps load_best_model_at_end metric_for_best_model greater_is_better ignore_data_skip seed "
    "data_seed dataloader_drop_last world_size train_sampling_strategy"
)
"""Settings of `TrainingArguments` that decide what is learned."""
_NOT_LEARNED = (
    "output_dir overwrite keep_prompt eval_max_new_tokens allow_no_gap proof fail_under weights max_minutes "
    "logging_steps logging_nan_inf_filter report_to remove_unused_columns save_strategy resume_from_checkpoint "
    "trust_remote_code rules relative_to_file dataset_split eval_dataset_split prompt_column response_column "
    "training_prompts anchor_prompts system_prompt_template"
)
"""Settings of Bakery that do not, or that are compared by what was read because of them."""


def begin(settings: BakeSettings, data: BakeData) -> bool:
    """Claim the output folder for this bake; whether it goes on with one that was stopped there.

    Raises:
        ConfigError: another bake lies there, finished or not, and may not be replaced.
        ResourceError: the folder cannot be written.
    """
    args, folder = settings.bakery, folder_of(settings)
    digests, state, wanted = digests_of(settings, data), _settled(folder), args.resume_from_checkpoint
    goes_on = bool(wanted) and (wanted != AUTO or (state is not None and _same_stopped(state, digests)))
    if not goes_on:
        if not args.overwrite:
            _refuse_what_is_there(folder, state, digests)
        remove_checkpoints(folder)
        remove_written(folder)
    write_state(folder, RunState("baking", digests))
    return goes_on


def is_finished(settings: BakeSettings, data: BakeData) -> bool:
    """Whether the output folder holds this very bake, finished; a final save that was interrupted is completed.

    Raises:
        ConfigError: another process bakes there.
        ResourceError: the folder cannot be written.
    """
    args, folder = settings.bakery, folder_of(settings)
    state = read_state(folder)
    if args.overwrite or state is None or state.phase == "baking" or state.differences(digests_of(settings, data)):
        return False
    if not args.process_index:
        with locked(args.output_dir):
            _settled(folder)
    return state.phase == "moving" or (folder / RESULTS).is_file()


def folder_of(settings: BakeSettings) -> Path:
    """Where the bake goes."""
    return Path(settings.bakery.output_dir or "outputs").expanduser()


def digests_of(settings: BakeSettings, data: BakeData) -> dict[str, str]:
    """A digest of every setting that decides what is learned, by its name, and of the prompt and the rows."""
    ours = {item.name for item in dataclasses.fields(BakingFields)}
    parts = (settings.context, settings.model, settings.lora, settings.data)
    values = {item.name: getattr(part, item.name) for part in parts for item in dataclasses.fields(part)}
    values |= {name: getattr(settings.bakery, name, None) for name in (*sorted(ours), *_LEARNED.split())}
    for name in (*_NOT_LEARNED.split(), *PATH_KEYS, *PREFIX_KEYS):
        values.pop(name, None)
    values["model_name_or_path"] = Path(settings.model.model_name_or_path).name  # its folder may have been moved
    values["the prompt"] = [data.prefix, data.document and [data.document.text, data.document.template]]
    rows: Mapping[str, Sequence[Conversation | ScoredQuestion]] = {
        "the rows": data.train,
        "the anchors": data.anchors,
        "the validation rows": data.validation,
        "the questions": [*data.heldout, *data.evaluation],
    }
    values |= {name: [_plain(row) for row in own] for name, own in rows.items()}
    return {name: _digest(value) for name, value in values.items()}


def _settled(folder: Path) -> RunState | None:
    """How far the bake is that began here last, a final save that was interrupted being completed."""
    state = read_state(folder)
    if state is None or state.phase != "moving":
        return state
    complete_outputs(folder)
    return read_state(folder)


def _same_stopped(state: RunState, digests: Mapping[str, str]) -> bool:
    return state.phase == "baking" and not state.differences(digests)


def _refuse_what_is_there(folder: Path, state: RunState | None, digests: Mapping[str, str]) -> None:
    """Refuse a folder in which something would have to be replaced."""
    others = listed(state.differences(digests), 4) if state else "none"
    if state is None or state.phase != "baking":
        check_output(str(folder), False, about=f" of other settings ({others} differ)" if others != "none" else "")
    older = checkpoints(folder)
    if not older and (state is None or state.phase != "baking"):
        return
    remedy = "choose another folder, or overwrite: true to begin anew"
    if older:
        remedy += f", or resume_from_checkpoint: true to go on from {older[0].name} all the same"
    if state is None:
        raise ConfigError(f"output_dir: {folder} holds checkpoints of another run ({older[0].name}); {remedy}")
    if others != "none":
        raise ConfigError(f"output_dir: {folder} holds another bake, stopped ({others} differ); {remedy}")
    raise ConfigError(f"output_dir: {folder} holds this bake, stopped; leave resume_from_checkpoint out, or {remedy}")


def _plain(row: Conversation | ScoredQuestion) -> Any:
    """A row without where it was read."""
    if isinstance(row, Conversation):
        return as_row(row)
    return [row.messages, row.answers, row.check, row.prefix, row.tools]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]
