"""Checkpoints: which one a stopped run goes on from, and a manifest in each, so that only a whole one is gone on from.

A save counts once its manifest is there, which is written last; only then an older checkpoint is removed.
"""

import pickle
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError
from torch import nn
from torch.optim import Optimizer
from transformers import PreTrainedTokenizerBase, Trainer, TrainerCallback, TrainerControl, TrainerState
from transformers.trainer_utils import SaveStrategy

from bakery.engine.model.loading import load_weights
from bakery.engine.model.process_group import ProcessGroup
from bakery.errors import BakeryError, ConfigError, ModelError
from bakery.manifest import MANIFEST, damage, files_of, read_manifest, write_manifest
from bakery.resources import is_out_of_memory
from bakery.settings.arguments import BakeryConfig
from bakery.settings.files import read_description
from bakery.settings.run_state import AUTO
from bakery.training.optimizer_state import check_alike, check_moments, group_settings

_STATE, _WEIGHTS = "trainer_state.json", "adapter_model.safetensors"
_MOMENT_BYTES = 8
_TOKEN_BYTES = 60
"""What a token takes in a tokenizer's file, its merge included."""
_ENDED, _TEACHER = "training_ended", "teacher"
_STATE_KINDS = {"global_step": int, "log_history": list, "stateful_callbacks": dict, "train_batch_size": int | None,
                "best_metric": int | float | None, "best_model_checkpoint": str | None}  # fmt: skip
_MOST_STATE_BYTES = 2**28
_REMEDY = "remove that folder, and the same command goes on without it"
_UNUSABLE = (ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError, TypeError, ValueError,
             SafetensorError, pickle.UnpicklingError)  # fmt: skip
"""What the libraries raise about files of a checkpoint that they cannot use."""


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint.

    Args:
        folder: where it lies.
        ended: the limits by which training was over with this step; None: it was not over.
        teacher: whether the teacher was `cached` or `live`; a run that goes on has to ask in the same way.
        passed_over: why newer ones are not used, in words; empty where this is the newest.
    """

    folder: Path
    ended: Sequence[Any] | None = None
    teacher: str = ""
    passed_over: str = ""

    def ends_training(self, args: BakeryConfig) -> bool:
        """Whether nothing is left to train with these settings."""
        return self.ended is not None and list(self.ended) == _limits(args)


def checkpoint_to_resume(wanted: str | bool | None, output_dir: Path) -> Checkpoint | None:
    """The checkpoint to resume from; None when not asked for, or `auto` and there is none.

    Args:
        wanted: a folder; true for the newest whole checkpoint in `output_dir`; `auto` for that, if there is one.
        output_dir: where checkpoints are.

    Raises:
        ConfigError: there is none, or the one named is not whole.
    """
    if not wanted:
        return None
    if isinstance(wanted, str) and wanted != AUTO:
        checkpoint = _whole(Path(wanted))
        if isinstance(checkpoint, str):
            raise ConfigError(f"resume_from_checkpoint: {wanted} {checkpoint}")
        return checkpoint
    problems: list[str] = []
    for folder in checkpoints(output_dir):
        checkpoint = _whole(folder)
        if isinstance(checkpoint, Checkpoint):
            passed_over = f"; passed over: {'; '.join(problems)}" if problems else ""
            return Checkpoint(folder, checkpoint.ended, checkpoint.teacher, passed_over)
        problems.append(f"{folder.name} {checkpoint}")
    if wanted == AUTO:
        return None
    tried = f"; the newest, {problems[0]}" if problems else ""
    raise ConfigError(f"resume_from_checkpoint: {output_dir} holds no whole checkpoint{tried}; start without it")


def checkpoints(output_dir: Path) -> list[Path]:
    """The folders of checkpoints, whole or not, newest first."""
    return sorted((path for path in output_dir.glob("checkpoint-*") if _step(path) >= 0), key=_step, reverse=True)


def checkpoint_bytes(output_dir: Path) -> int:
    """The bytes of all checkpoints that lie there."""
    return sum(path.stat().st_size for folder in checkpoints(output_dir) for path in folder.rglob("*"))


def take_over(model: nn.Module, checkpoint: Checkpoint, *, best: bool) -> TrainerState:
    """Give a model the weights with which a training had ended, the best ones if so wanted; what its trainer knew then.

    Raises:
        ModelError: the weights do not fit the model, or what the trainer knew cannot be used.
    """
    state = _trainer_state(checkpoint.folder)
    name = Path(state.best_model_checkpoint or "").name if best else ""
    _load_weights(model, checkpoint.folder.parent / name if name else checkpoint.folder)
    return state


def saved_bytes(model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> int:
    """About how many bytes a checkpoint takes: the adapter, Adam's two moments of every weight, and the tokenizer."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    weights = sum(weight.numel() * (weight.element_size() + _MOMENT_BYTES) for weight in trained)
    return weights + len(tokenizer) * _TOKEN_BYTES


def remove_checkpoints(output_dir: Path) -> None:
    """Remove the checkpoints of an earlier run."""
    for folder in checkpoints(output_dir):
        shutil.rmtree(folder)


class WholeCheckpoints(TrainerCallback):  # type: ignore[misc]
    """Completes every checkpoint with its manifest, saves the end of the training, and removes what is older.

    Args:
        limit: checkpoints to retain, beside the best one; None: all.
    """

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.teacher = ""

    def on_step_end(self, args: BakeryConfig, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Save at the last step, so that a run that is stopped later need not train again."""
        control.should_save |= control.should_training_stop and args.save_strategy == SaveStrategy.STEPS

    on_evaluate = on_step_end

    def on_save(self, args: BakeryConfig, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Write the manifest of the checkpoint that was just saved."""
        processes = ProcessGroup.current()
        processes.wait()  # each writes its own random state
        if processes.rank == 0:
            folder = Path(args.output_dir or "outputs")
            about = {_ENDED: _limits(args) if control.should_training_stop else None, _TEACHER: self.teacher}
            write_manifest(folder / f"checkpoint-{state.global_step}", about=about)
            self._remove_older(folder, state.best_model_checkpoint)
        processes.wait()

    def _remove_older(self, folder: Path, best: str | None) -> None:
        if not self.limit or self.limit < 1:
            return
        others = [path for path in checkpoints(folder) if best is None or path.name != Path(best).name]
        for path in others[max(1, self.limit - (best is not None)) :]:
            shutil.rmtree(path, ignore_errors=True)


class CheckedResume(Trainer):  # type: ignore[misc]
    """transformers' trainer, which tells in one line that a file of a checkpoint cannot be used.

    A manifest says that the files are as they were written, and not by whom. No code of theirs is run: transformers
    unpickles nothing but tensors and plain values.
    """

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Take over the weights of the acting adapter alone; transformers would load any other that lies there too."""
        folder = Path(resume_from_checkpoint)
        _trainer_state(folder)
        _load_weights(self.model if model is None else model, folder)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        # accelerate wraps an optimiser, and hands on what is asked of it.
        optimizer = cast(Optimizer, getattr(self.optimizer, "optimizer", self.optimizer))
        own_settings, own_schedule = group_settings(optimizer), self.lr_scheduler.state_dict()
        with _told(checkpoint, "optimizer.pt or scheduler.pt"):
            super()._load_optimizer_and_scheduler(checkpoint)
            check_alike(group_settings(optimizer), own_settings, "optimizer")
            check_alike(self.lr_scheduler.state_dict(), own_schedule, "scheduler")
            check_moments(optimizer)

    def _load_scaler(self, checkpoint: str | None) -> None:
        with _told(checkpoint, "scaler.pt"):
            super()._load_scaler(checkpoint)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        with _told(checkpoint, "rng_state.pth"):
            super()._load_rng_state(checkpoint)

    def _load_best_model(self) -> None:
        _load_weights(self.model, Path(self.args.output_dir) / Path(self.state.best_model_checkpoint).name)


def _load_weights(model: nn.Module, folder: Path) -> None:
    """Give a model the weights of a checkpoint.

    Raises:
        ModelError: they are damaged, do not fit, or are not finite.
    """
    with _told(folder, _WEIGHTS):
        load_weights(model, folder)


@contextmanager
def _told(folder: str | Path | None, name: str) -> Iterator[None]:
    """What the libraries raise about a file of a checkpoint becomes one line.

    Raises:
        ModelError: the file cannot be used.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected pickle protocol")  # what follows is an error anyway
            yield
    except ModelError as error:
        raise ModelError(f"{folder} cannot be gone on from: {error}; {_REMEDY}") from error
    except BakeryError:
        raise
    except _UNUSABLE as error:
        if is_out_of_memory(error):  # which is told elsewhere
            raise
        raise ModelError(
            f"{folder} cannot be gone on from: {name} is damaged, or was not written by this bake "
            f"({type(error).__name__}); {_REMEDY}"
        ) from error


def _trainer_state(folder: Path) -> TrainerState:
    """What the trainer knew when a checkpoint was saved.

    Raises:
        ModelError: the file cannot be used.
    """
    with _told(folder, _STATE):
        state = TrainerState(**read_description(folder / _STATE, ModelError, _MOST_STATE_BYTES))
        for name, kind in _STATE_KINDS.items():
            if not isinstance(getattr(state, name), kind):
                raise TypeError(name)
        if state.global_step < 0 or not all(isinstance(entry, dict) for entry in state.log_history):
            raise ValueError(state.global_step)
        return state


def _step(folder: Path) -> int:
    number = folder.name.removeprefix("checkpoint-")
    return int(number) if number.isdecimal() and len(number) < 16 else -1


def _whole(folder: Path) -> Checkpoint | str:
    """The checkpoint in a folder, or what keeps a run from going on from there, in words."""
    if not folder.is_dir():
        return "is not a folder"
    manifest = read_manifest(folder)
    if manifest is None:
        return f"is not whole: its {MANIFEST} is missing or damaged (a save cut short, or one of an older Bakery)"
    if problem := damage(folder, manifest):
        return f"is damaged: {problem}"
    if stray := sorted(files_of(folder).difference(manifest.files)):
        return f"is not as it was saved: {stray[0]} was put there later"
    lacking = [name for name in (_STATE, _WEIGHTS) if name not in manifest.files]
    if not any("optim" in name for name in manifest.files):
        lacking.append("optimizer.pt")
    if lacking:
        return f"cannot be gone on from: it has no {lacking[0]} (save_only_model: true leaves it out)"
    return Checkpoint(folder, manifest.about.get(_ENDED), str(manifest.about.get(_TEACHER, "")))


def _limits(args: BakeryConfig) -> list[Any]:
    return [args.max_steps, args.num_train_epochs, args.max_minutes, args.target_divergence, args.patience]
