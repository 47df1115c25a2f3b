"""What was computed once and is kept in the run folder, so that a run that was stopped does not compute it again.

    answers-<key>.json          sampled answers, as token ids
    teacher-<key>.safetensors   the teacher's signal at the targets of a few rows, memory-mapped when read

The key is a hash of everything the content depends on: the base model's weights, the rows' token ids, the settings.
Whatever is not there, cut short or damaged is computed again; a file appears under its name only when it is whole.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from bakery.engine.model.loading import base_of, is_adapter_weight
from bakery.errors import ResourceError

_PROBED = 256
"""Numbers of every weight tensor that go into the model's fingerprint."""
_IRRELEVANT = frozenset({"use_cache", "pad_token_id", "bos_token_id", "eos_token_id", "transformers_version"})
"""Settings of a model that change no hidden state; training changes some of them."""


def fingerprint(model: nn.Module) -> str:
    """A hash of the base model: its configuration, and of every weight tensor its shape and a spread of its numbers."""
    base = base_of(model)
    settings = {name: value for name, value in base.config.to_diff_dict().items() if name not in _IRRELEVANT}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for name, weight in base.named_parameters():
        if is_adapter_weight(name):
            continue
        flat = weight.detach().reshape(-1)
        probe = flat[:: max(1, flat.numel() // _PROBED)][:_PROBED].contiguous().cpu()
        digest.update(f"{name} {tuple(weight.shape)} {weight.dtype}".encode())
        digest.update(probe.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Store:
    """A folder of results, by key. `about`: what all of them depend on, such as the model's fingerprint."""

    folder: Path
    about: str

    def key(self, *parts: Any) -> str:
        """A hash of `about` and these parts (anything JSON knows)."""
        return hashlib.sha256(json.dumps([self.about, *parts]).encode()).hexdigest()[:24]

    def read_answers(self, key: str) -> list[list[Any]] | None:
        """What `write_answers` wrote under this key, if it is there and whole."""
        try:
            held = json.loads(self._path(f"answers-{key}.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None
        rows = held.get("rows") if isinstance(held, dict) else None
        return rows if isinstance(rows, list) and held.get("sha256") == _checksum(json.dumps(rows).encode()) else None

    def write_answers(self, key: str, rows: Sequence[Sequence[Any]]) -> None:
        """Keep rows of plain values.

        Raises:
            ResourceError: the folder cannot be written.
        """
        text = json.dumps({"sha256": _checksum(json.dumps(rows).encode()), "rows": rows})
        self._write(f"answers-{key}.json", lambda path: path.write_text(text, "utf-8"))

    def read_signal(self, key: str) -> Tensor | None:
        """A signal [N, K] mapped from their file, if it is there and whole."""
        path = self._path(f"teacher-{key}.safetensors")
        try:
            with safe_open(path, framework="pt") as file:
                signal: Tensor = file.get_tensor("signal")
                wanted = (file.metadata() or {}).get("sha256")
        except (OSError, SafetensorError):
            return None
        return signal if wanted == _checksum(_bytes(signal)) else None

    def write_signal(self, key: str, signal: Tensor) -> None:
        """Keep a signal [N, K].

        Raises:
            ResourceError: the folder cannot be written, or the disk is full.
        """
        signal = signal.contiguous()
        about = {"sha256": _checksum(_bytes(signal))}
        self._write(f"teacher-{key}.safetensors", lambda path: save_file({"signal": signal}, path, metadata=about))

    def room(self) -> int:
        """Bytes of signals there is room for on its disk, those that it holds already included."""
        there = next(folder for folder in (self.folder, *self.folder.absolute().parents) if folder.exists())
        held = sum(path.stat().st_size for path in self.folder.glob("teacher-*.safetensors"))
        return shutil.disk_usage(there).free + held

    def _path(self, name: str) -> Path:
        return self.folder / name

    def _write(self, name: str, write: Any) -> None:
        temporary = self._path(f".{name}.{os.getpid()}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write(temporary)
            os.replace(temporary, self._path(name))
        except (OSError, SafetensorError) as error:
            temporary.unlink(missing_ok=True)
            raise ResourceError(f"{self._path(name)}: cannot be written: {error}") from error


def _bytes(signal: Tensor) -> bytes:
    return bytes(signal.reshape(-1).view(torch.uint8).numpy().data)


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
