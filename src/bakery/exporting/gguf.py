"""GGUF files by llama.cpp's own converters, run with this Python, and the Modelfile for Ollama beside them."""

import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from huggingface_hub import snapshot_download
from transformers import GenerationConfig

from bakery.child_process import child_process
from bakery.errors import ModelError
from bakery.exporting import gguf_converter
from bakery.exporting.pre_tokenizers import pre_tokenizer_name
from bakery.exporting.request import CONVERTERS
from bakery.sharing.hub import HUB_ERRORS
from bakery.text import excerpt, first_line

OUT_TYPES = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
"""By number format, what the converters call it."""
FILES = {"gguf": "model.gguf", "gguf-adapter": "adapter.gguf"}
BASE_FILE = "base.gguf"
"""The base of an adapter, beside it."""
CONFIGURATION = ("*.json", "*.jinja")
WEIGHTS = ("*.safetensors", "*.model", "*.txt")
_LAST_CHARACTERS = 240
_MODELFILE = """\
# For `ollama create NAME -f Modelfile`, in this folder.
# Ollama's templates are written in Go's language, those of transformers in Jinja: the chat template is not carried
# over. Write TEMPLATE so that a conversation becomes the same text, and no SYSTEM; the answers are others without it.
{source}
{parameters}
"""


def convert(
    form: str, source: Path, base: str, llama_cpp: Path, dtype: str, folder: Path, pre_tokenizer: str | None = None
) -> Path:
    """Run the converter of a form.

    Args:
        form: `gguf` or `gguf-adapter`.
        source: the folder of the merged model, or of the adapter.
        base: the base's hub id or absolute folder; the converter of adapters reads its configuration.
        llama_cpp: the folder of llama.cpp's source.
        dtype: number format of the weights.
        folder: where the file goes.
        pre_tokenizer: llama.cpp's name of it, where the converter does not recognise it; none: told by tokenizer.json.

    Raises:
        ModelError: the converter fails, with its last words; or the base's configuration is not to be had.
    """
    if form == "gguf":
        return _convert_model(source, llama_cpp, dtype, folder / FILES[form], pre_tokenizer)
    words = ["--base", downloaded(base, CONFIGURATION)]
    return _run(llama_cpp, form, source, dtype, folder / FILES[form], "", words)


def convert_base(base: str, llama_cpp: Path, dtype: str, folder: Path, pre_tokenizer: str | None = None) -> Path:
    """The base that belongs to an adapter in GGUF, as `base.gguf` in the same folder.

    Raises:
        ModelError: the converter fails, with its last words; or the base's files are not to be had.
    """
    source = Path(downloaded(base, (*CONFIGURATION, *WEIGHTS)))
    return _convert_model(source, llama_cpp, dtype, folder / BASE_FILE, pre_tokenizer)


def _convert_model(source: Path, llama_cpp: Path, dtype: str, file: Path, pre_tokenizer: str | None) -> Path:
    return _run(llama_cpp, "gguf", source, dtype, file, pre_tokenizer or pre_tokenizer_name(source) or "", [])


def _run(
    llama_cpp: Path, form: str, source: Path, dtype: str, file: Path, pre_tokenizer: str, more: Sequence[str]
) -> Path:
    script = (llama_cpp.expanduser() / CONVERTERS[form]).absolute()
    words = [sys.executable, str(gguf_converter.__file__), str(script), pre_tokenizer, str(source)]
    words += ["--outfile", str(file), "--outtype", OUT_TYPES[dtype], *more]
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "errors": "replace"}
    with child_process(words, **piped) as process:
        output, errors = process.communicate()
    if process.returncode or not file.is_file():
        lines = [line.strip() for line in f"{output}\n{errors}".splitlines() if line.strip()]
        said = _last_words(lines)
        remedy = "use another version of llama.cpp, or --to merged"
        if "ModuleNotFoundError" in said:
            remedy = f"install it beside Bakery: {sys.executable} -m pip install gguf sentencepiece"
        elif "pre-tokenizer was not recognized" in said:
            remedy = (
                "give the name that llama.cpp has for it as --pre_tokenizer, such as qwen2; if it has none, use "
                "--to merged"
            )
        raise ModelError(f"export: {script} ended with {process.returncode}: {said}; {remedy}")
    return file


def _last_words(lines: list[str]) -> str:
    """The end of what a program said, on one line."""
    said = " ".join(excerpt(line, _LAST_CHARACTERS) for line in lines[-2:]) or "it said nothing"
    return said if len(said) <= _LAST_CHARACTERS else "…" + said[-_LAST_CHARACTERS:]


def downloaded(base: str, files: Sequence[str]) -> str:
    """A folder with these files of the base: its own, or that of the hub's cache.

    Raises:
        ModelError: the hub does not give it.
    """
    if Path(base).is_dir():
        return base
    try:
        return str(snapshot_download(base, allow_patterns=list(files)))
    except HUB_ERRORS as error:
        raise ModelError(f"export: the files of {base} are not to be had: {first_line(error)}") from error


def modelfile(form: str, stops: Iterable[str], generation: GenerationConfig | None) -> str:
    """The text of a Modelfile: the files, the end of a turn, and how answers are drawn."""
    source = f"FROM ./{FILES['gguf']}" if form == "gguf" else f"FROM ./{BASE_FILE}\nADAPTER ./{FILES[form]}"
    sampled = bool(generation and generation.do_sample)
    temperature = (getattr(generation, "temperature", None) or 1.0) if sampled else 0
    penalty = getattr(generation, "repetition_penalty", None) or 1
    parameters = [f'PARAMETER stop "{stop}"' for stop in stops]
    parameters += [f"PARAMETER temperature {temperature:g}", f"PARAMETER repeat_penalty {penalty:g}"]
    return _MODELFILE.format(source=source, parameters="\n".join(parameters))
