"""What an export is asked for, and what of it is refused before anything heavy is imported. Torch-free.

form            what is written
merged          a whole model that needs no peft
adapter         a PEFT adapter whose strength is in its weights
gguf            a whole model for llama.cpp
gguf-adapter    an adapter for llama.cpp
mlx             an adapter for mlx_lm
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakery.errors import ConfigError
from bakery.settings.files import as_path, read_description
from bakery.text import listed, suggestion

FORMS = ("merged", "adapter", "gguf", "gguf-adapter", "mlx")
DTYPES = ("float32", "bfloat16", "float16")
STRONGEST = 1.5
RESULT_FILE = "export.json"
"""What an export says of itself; it marks a folder that an export wrote."""
CONVERTERS = {"gguf": "convert_hf_to_gguf.py", "gguf-adapter": "convert_lora_to_gguf.py"}
"""By form, the program of llama.cpp that writes it."""
VLLM_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes for `--max-lora-rank`."""
IN_VLLM = ("merged", "adapter")
"""The forms that vLLM takes."""
_WHOLE = ("merged", "gguf")
_PLAIN: Mapping[str, tuple[Any, ...]] = {
    "use_dora": (None, False), "bias": (None, "none"), "lora_bias": (None, False), "modules_to_save": (None, []),
    "trainable_token_indices": (None, [], {}), "target_parameters": (None, []), "layer_replication": (None, []),
    "alora_invocation_tokens": (None, []), "arrow_config": (None,), "use_qalora": (None, False),
    "use_bdlora": (None, False),
}  # fmt: skip
"""Settings of a PEFT adapter with the values under which it is nothing but low-rank matrices."""


@dataclass(frozen=True)
class ExportRequest:
    """What is to be exported, and to where.

    Args:
        to: one of `FORMS`.
        strength: of the adapter, 0 (the base) to 1.5; 1 as it was trained. It is in the weights that are written.
        dtype: one of `DTYPES`; none: a whole model has its base's, an adapter its own.
        output_dir: where to; none: the folder `export/FORM` in the adapter's.
        overwrite: whether an earlier export there may be replaced.
        llama_cpp: the folder of llama.cpp's source; for GGUF. Where it holds a build too, its server is asked.
        allow_other_tokens: whether it is accepted that conversations sent as text become other tokens than in the bake.
        pre_tokenizer: llama.cpp's name of it, where its converter does not recognise it.
        python: that of an environment with vLLM, whose server is asked; none: this one.
        timeout: seconds that a server may take until it is ready.
    """

    to: str
    strength: float = 1.0
    dtype: str | None = None
    output_dir: Path | None = None
    overwrite: bool = False
    llama_cpp: Path | None = None
    allow_other_tokens: bool = False
    pre_tokenizer: str | None = None
    python: str | None = None
    timeout: float = 900.0

    @property
    def whole(self) -> bool:
        """Whether a whole model is written and not an adapter."""
        return self.to in _WHOLE

    def output(self, adapter: Path) -> Path:
        """The folder that is written."""
        return Path(self.output_dir or adapter / "export" / self.to).expanduser()


def check_request(request: ExportRequest, adapter: Path) -> None:
    """Refuse what cannot be exported, or not to there.

    Raises:
        ConfigError: a word that is not known, a figure out of range, an adapter that the form has no room for, a
            converter that is not there, or a folder with something in it.
    """
    if request.to not in FORMS:
        remedy = suggestion(request.to, FORMS, f"allowed are {', '.join(FORMS)}")
        raise ConfigError(f"command line: --to: nothing is exported to {request.to!r}; {remedy}")
    if not 0 <= request.strength <= STRONGEST:
        raise ConfigError(f"command line: --strength: must be 0 to at most {STRONGEST}, got {request.strength}")
    if request.dtype is not None and request.dtype not in DTYPES:
        raise ConfigError(f"command line: --dtype: must be one of {', '.join(DTYPES)}, got {request.dtype!r}")
    if request.python is not None and request.to not in IN_VLLM:
        raise ConfigError(f"command line: --python: is for {' and '.join(IN_VLLM)}, which vLLM takes; leave it out")
    _check_adapter_kind(request, adapter)
    _check_converter(request)
    _check_output(request, adapter)


def beyond_low_rank(config: Mapping[str, Any]) -> list[str]:
    """The settings by which a PEFT adapter is more than low-rank matrices, such as `use_dora: true`."""
    return [
        f"{name}: {json.dumps(config[name], ensure_ascii=False)}"
        for name, plain in _PLAIN.items()
        if config.get(name) not in plain
    ]


def _check_adapter_kind(request: ExportRequest, adapter: Path) -> None:
    file = adapter / "adapter_config.json"
    config = read_description(file, ConfigError)
    kind = config.get("peft_type")
    if kind != "LORA":
        raise ConfigError(f"{adapter}: is an adapter of the type {kind}; only LORA is exported")
    more = listed(beyond_low_rank(config))
    if beyond_low_rank(config) and not request.whole:
        raise ConfigError(
            f"command line: --to: {request.to} holds low-rank matrices alone, and this adapter has more ({more}), "
            "which servers leave out or refuse; use --to merged"
        )
    if beyond_low_rank(config) and request.strength != 1:
        raise ConfigError(
            "command line: --strength: only low-rank matrices can be made stronger or weaker, and this adapter has "
            f"more ({more}); leave it out"
        )


def _check_converter(request: ExportRequest) -> None:
    name = CONVERTERS.get(request.to)
    if name is None:
        for option in ("llama_cpp", "pre_tokenizer"):
            if getattr(request, option) is not None:
                raise ConfigError(f"command line: --{option}: is for {' and '.join(CONVERTERS)}; leave it out")
        return
    if request.llama_cpp is None:
        raise ConfigError(
            f"command line: --llama_cpp: has no value; {request.to} is written by llama.cpp's own {name}: give the "
            "folder of its source (that of llama-cpp-python holds it, in vendor/llama.cpp)"
        )
    folder = as_path(request.llama_cpp, ConfigError, "command line: --llama_cpp")
    if not (folder / name).is_file():
        raise ConfigError(f"command line: --llama_cpp: {folder} has no {name}; give the folder of llama.cpp's source")


def _check_output(request: ExportRequest, adapter: Path) -> None:
    location = "command line: --output_dir"
    folder = as_path(request.output(adapter), ConfigError, location)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{location}: {folder} is a file; give a folder")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not (folder / RESULT_FILE).is_file():
        raise ConfigError(f"{location}: {folder} holds other files than those of an export; choose another folder")
    if not request.overwrite:
        raise ConfigError(f"{location}: {folder} holds an export already; choose another folder, or add --overwrite")
