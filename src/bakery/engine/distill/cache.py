"""What was computed once and is stored in the run folder, so that a run that was stopped does not compute it again.

    answers-<key>.json          sampled answers, as token ids
    teacher-<key>.safetensors   the teacher's signal at the targets of a few rows, memory-mapped when read

The key is a hash of everything the content depends on: the base model's weights, the rows' token ids, the settings.
Whatever is not there, cut short or damaged is computed again; a file appears under its name only when it is whole. A
damaged one is removed, and one line says so.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from bakery.engine.distill.conditions import Condition
from bakery.engine.distill.signals import KINDS, TeacherSignal
from bakery.engine.model.adapters import is_adapter_weight
from bakery.engine.model.structure import base_of, unwrap
from bakery.errors import ResourceError
from bakery.resources import free_bytes
from bakery.text import size

_PROBED = 256
"""Numbers of every weight tensor that go into the model's fingerprint."""
_IRRELEVANT = frozenset({"use_cache", "pad_token_id", "bos_token_id", "eos_token_id", "transformers_version"})
"""Settings of a model that change no hidden state; training changes some of them."""


def fingerprint(model: nn.Module, condition: Condition) -> str:
    """A hash of all that a teacher's answers depend on beside the rows: the base model and the condition's adapters.

    Of the base model its configuration goes in, and of every weight tensor its shape and a spread of its numbers; of
    the condition's adapters their names, strengths, settings and weights.
    """
    base = base_of(model)
    settings = {name: value for name, value in base.config.to_diff_dict().items() if name not in _IRRELEVANT}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for name, weight in base.named_parameters():
        if not is_adapter_weight(name):
            _add(digest, name, weight)
    configs: Any = getattr(unwrap(model), "peft_config", {})
    for adapter, strength in condition.adapters:
        about = {name: str(value) for name, value in configs[adapter].to_dict().items()}
        digest.update(json.dumps([adapter, strength, about], sort_keys=True).encode())
        for name, weight in base.named_parameters():
            if is_adapter_weight(name) and f".{adapter}." in f"{name}.":
                _add(digest, name, weight)
    return digest.hexdigest()


def _add(digest: Any, name: str, weight: Tensor) -> None:
    flat = weight.detach().reshape(-1)
    probe = flat[:: max(1, flat.numel() // _PROBED)][:_PROBED].contiguous().cpu()
    digest.update(f"{name} {tuple(weight.shape)} {weight.dtype}".encode())
    digest.update(probe.view(torch.uint8).numpy().tobytes())


@dataclass(frozen=True)
class Cache:
    """A folder of results, by key.

    Args:
        folder: where they lie.
        about: what all of them depend on, such as the model's fingerprint.
        say: takes the line about a damaged file.
    """

    folder: Path
    about: str
    say: Callable[[str], None] = lambda line: None

    def key(self, *parts: Any) -> str:
        """A hash of `about` and these parts (anything JSON knows)."""
        return hashlib.sha256(json.dumps([self.about, *parts]).encode()).hexdigest()[:24]

    def read_answers(self, key: str) -> list[list[Any]] | None:
        """What `write_answers` wrote under this key, if it is there and whole."""
        path = self._path(f"answers-{key}.json")
        try:
            content = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError):
            content = None
        rows = content.get("rows") if isinstance(content, dict) else None
        if isinstance(rows, list) and content.get("sha256") == _checksum(json.dumps(rows).encode()):
            return rows
        self._remove_damaged(path)
        return None

    def write_answers(self, key: str, rows: Sequence[Sequence[Any]]) -> None:
        """Store rows of plain values.

        Raises:
            ResourceError: the folder cannot be written.
        """
        text = json.dumps({"sha256": _checksum(json.dumps(rows).encode()), "rows": rows})
        self._write(f"answers-{key}.json", lambda path: path.write_text(text, "utf-8"))

    def read_signal(self, key: str) -> TeacherSignal | None:
        """What `write_signal` wrote under this key, memory-mapped, if it is there and whole."""
        path = self._path(f"teacher-{key}.safetensors")
        try:
            with safe_open(path, framework="pt") as file:
                about = file.metadata() or {}
                columns = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError):
            about, columns = {}, {}
        kind = KINDS.get(about.get("kind", ""))
        if kind is not None and about.get("sha256") == _checksum_of(columns):
            return kind(**columns)
        self._remove_damaged(path)
        return None

    def write_signal(self, key: str, signal: TeacherSignal) -> None:
        """Store a signal that is on the CPU.

        Raises:
            ResourceError: the folder cannot be written, or the disk is full.
        """
        columns = {name: column.contiguous() for name, column in signal.columns.items()}
        kind = next(name for name, kind in KINDS.items() if isinstance(signal, kind))
        about = {"kind": kind, "sha256": _checksum_of(columns)}
        self._write(f"teacher-{key}.safetensors", lambda path: save_file(columns, path, metadata=about))

    def free_bytes(self) -> int:
        """Bytes of signals that its disk has room for, those that it holds already included."""
        held = sum(path.stat().st_size for path in self.folder.glob("teacher-*.safetensors"))
        return free_bytes(self.folder) + held

    def _path(self, name: str) -> Path:
        return self.folder / name

    def _remove_damaged(self, path: Path) -> None:
        self.say(f"  note: {path} is damaged; what it held is computed again")
        path.unlink(missing_ok=True)

    def _write(self, name: str, write: Any) -> None:
        temporary = self._path(f".{name}.{os.getpid()}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write(temporary)
            os.replace(temporary, self._path(name))
        except (OSError, SafetensorError) as error:
            temporary.unlink(missing_ok=True)
            free = size(free_bytes(self.folder))
            raise ResourceError(f"{self._path(name)}: cannot be written: {error}; {free} are free there") from error


def _checksum_of(columns: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(columns):
        digest.update(f"{name} {tuple(columns[name].shape)} {columns[name].dtype}".encode())
        digest.update(columns[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
