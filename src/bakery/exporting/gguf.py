"""GGUF files by llama.cpp's own converters, run with this Python, and the Modelfile for Ollama beside them."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from huggingface_hub import snapshot_download
from transformers import GenerationConfig

from bakery.errors import ModelError
from bakery.exporting.request import CONVERTERS
from bakery.sharing.hub import HUB_ERRORS, first_line
from bakery.text import excerpt

OUT_TYPES = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
"""By number format, what the converters call it."""
FILES = {"gguf": "model.gguf", "gguf-adapter": "adapter.gguf"}
BASE_FILE = "base.gguf"
"""What the Modelfile of an adapter calls the base, which is not written here."""
_LAST_CHARACTERS = 240
_MODELFILE = """\
# For `ollama create NAME -f Modelfile`, in this folder.
# Ollama's templates are written in Go's language, those of transformers in Jinja: the chat template is not carried
# over. Write TEMPLATE so that a conversation becomes the same text, and no SYSTEM; the answers are others without it.
{source}
{parameters}
"""


def convert(form: str, source: Path, base: str, llama_cpp: Path, dtype: str, folder: Path) -> Path:
    """Run the converter of a form.

    Args:
        form: `gguf` or `gguf-adapter`.
        source: the folder of the merged model, or of the adapter.
        base: the base's hub id or absolute folder; the converter of adapters reads its configuration.
        llama_cpp: the folder of llama.cpp's source.
        dtype: number format of the weights.
        folder: where the file goes.

    Raises:
        ModelError: the converter fails, with its last words; or the base's configuration is not to be had.
    """
    script = (llama_cpp.expanduser() / CONVERTERS[form]).absolute()
    words = [sys.executable, str(script), str(source), "--outfile", str(folder / FILES[form])]
    words += ["--outtype", OUT_TYPES[dtype]]
    if form == "gguf-adapter":
        words += ["--base", configuration_of(base)]
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode or not (folder / FILES[form]).is_file():
        lines = [line.strip() for line in (done.stdout + "\n" + done.stderr).splitlines() if line.strip()]
        said = _last_words(lines)
        remedy = "use another version of llama.cpp, or --to merged"
        if "ModuleNotFoundError" in said:
            remedy = f"install it beside Bakery: {sys.executable} -m pip install gguf sentencepiece"
        raise ModelError(f"export: {script} ended with {done.returncode}: {said}; {remedy}")
    return folder / FILES[form]


def _last_words(lines: list[str]) -> str:
    """The end of what a program said, on one line."""
    said = " ".join(excerpt(line, _LAST_CHARACTERS) for line in lines[-2:]) or "it said nothing"
    return said if len(said) <= _LAST_CHARACTERS else "…" + said[-_LAST_CHARACTERS:]


def configuration_of(base: str) -> str:
    """A folder with the base's configuration: its own, or that of the hub's cache.

    Raises:
        ModelError: the hub does not give it.
    """
    if Path(base).is_dir():
        return base
    try:
        return str(snapshot_download(base, allow_patterns=["*.json"]))
    except HUB_ERRORS as error:
        raise ModelError(f"export: the configuration of {base} is not to be had: {first_line(error)}") from error


def modelfile(form: str, stops: Iterable[str], generation: GenerationConfig | None) -> str:
    """The text of a Modelfile: the files, the end of a turn, and how answers are drawn."""
    source = f"FROM ./{FILES['gguf']}" if form == "gguf" else f"FROM ./{BASE_FILE}\nADAPTER ./{FILES[form]}"
    sampled = bool(generation and generation.do_sample)
    temperature = (getattr(generation, "temperature", None) or 1.0) if sampled else 0
    penalty = getattr(generation, "repetition_penalty", None) or 1
    parameters = [f'PARAMETER stop "{stop}"' for stop in stops]
    parameters += [f"PARAMETER temperature {temperature:g}", f"PARAMETER repeat_penalty {penalty:g}"]
    return _MODELFILE.format(source=source, parameters="\n".join(parameters))
