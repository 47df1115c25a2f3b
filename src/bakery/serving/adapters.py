"""Adapters as servers take them: under which names, of which rank, and which of them no server takes. Torch-free."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bakery.errors import ConfigError
from bakery.exporting.request import VLLM_RANKS, beyond_low_rank
from bakery.settings.files import as_path
from bakery.settings.paths import distinct_ends
from bakery.text import listed

_PATTERNS = ("rank_pattern", "alpha_pattern")
_EMBEDDING = "embed_tokens"


@dataclass(frozen=True)
class ServedAdapter:
    """An adapter under the name by which requests ask for it."""

    name: str
    folder: Path
    rank: int


def served_adapters(folders: Sequence[str]) -> tuple[ServedAdapter, ...]:
    """The adapters in these folders, named by the ends of their paths that differ.

    Raises:
        ConfigError: one is given twice, or is no adapter that servers take beside its base.
    """
    paths = [as_path(name, ConfigError, "command line: serve").absolute() for name in folders]
    for number, path in enumerate(paths):
        if path.resolve() in [other.resolve() for other in paths[:number]]:
            raise ConfigError(f"command line: serve: {folders[number]} is given twice; give each run once")
    return tuple(ServedAdapter(name, path, _rank(path)) for name, path in zip(distinct_ends(paths), paths, strict=True))


def vllm_rank(adapters: Sequence[ServedAdapter]) -> int:
    """The smallest rank that vLLM can be started with for all of these.

    Raises:
        ConfigError: one has a larger rank than vLLM takes.
    """
    largest = max(adapters, key=lambda adapter: adapter.rank)
    if largest.rank > VLLM_RANKS[-1]:
        raise ConfigError(
            f"{largest.folder}: its rank {largest.rank} is above {VLLM_RANKS[-1]}, the most that vLLM takes; "
            f"write bakery export {largest.folder} --to merged and serve that model"
        )
    return next(rank for rank in VLLM_RANKS if largest.rank <= rank)


def _rank(folder: Path) -> int:
    file = folder / "adapter_config.json"
    try:
        config = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: cannot be read as JSON: {error}") from error
    kind = config.get("peft_type")
    if kind != "LORA":
        raise ConfigError(f"{folder}: is an adapter of the type {kind}; only LORA is served")
    merged = f"write bakery export {folder} --to merged and serve that model"
    if more := beyond_low_rank(config):
        raise ConfigError(f"{folder}: servers take low-rank matrices alone, and it has more ({listed(more)}); {merged}")
    targets = config.get("target_modules") or ()
    if _EMBEDDING in ([targets] if isinstance(targets, str) else targets):
        raise ConfigError(f"{folder}: it changes {_EMBEDDING}, which servers of adapters refuse; {merged}")
    if patterns := [name for name in _PATTERNS if config.get(name)]:
        raise ConfigError(
            f"{folder}: servers leave out its {' and '.join(patterns)}; write bakery export {folder} --to adapter, "
            f"then bakery serve {folder / 'export' / 'adapter'} --config {folder / 'bakery.yaml'}"
        )
    return int(config.get("r") or 0)
