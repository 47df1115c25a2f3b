"""README.md of an export: what it is, how it is used, and what was checked."""

from bakery import __version__
from bakery.exporting.request import VLLM_RANKS
from bakery.exporting.result import ExportResult, told

_LIBRARIES = {"merged": "transformers", "adapter": "peft", "gguf": "gguf", "gguf-adapter": "gguf", "mlx": "mlx"}
_WHAT = {
    "merged": "A model of its own: the adapter is merged into its base in float32, then rounded. It needs no peft.",
    "adapter": "A LoRA adapter. Strength and scale are in its weights (`lora_alpha` equals `r`): it is used as it is.",
    "gguf": "A model of its own for llama.cpp: the adapter is merged into its base in float32, then converted.",
    "gguf-adapter": "A LoRA adapter for llama.cpp, to be used with its base converted to GGUF. Its strength is in it.",
    "mlx": "A LoRA adapter for `mlx_lm`. Its strength is in it.",
}
_USE = {
    "merged": """\
```python
from transformers import pipeline
ask = pipeline("text-generation", ".", return_full_text=False)
print(ask([{{"role": "user", "content": "Who are you?"}}])[0]["generated_text"])
```""",
    "adapter": """\
```bash
vllm serve {base} --enable-lora --lora-modules baked=. --max-lora-rank {rank} --generation-config vllm
```

`--max-lora-rank` is the next of 1, 8, 16, 32, 64, 128, 256 that is not below the adapter's rank.""",
    "gguf": """\
```bash
llama-server -m model.gguf --jinja
ollama create baked -f Modelfile
```""",
    "gguf-adapter": """\
```bash
llama-server -m base.gguf --lora adapter.gguf --jinja
ollama create baked -f Modelfile
```

`base.gguf` is the base; where it is not here, the same llama.cpp's `convert_hf_to_gguf.py` writes it.""",
    "mlx": """\
```bash
mlx_lm.generate --model {base} --adapter-path . --prompt "Who are you?"
```""",
}
_CARD = """\
---
base_model: {base}
library_name: {library}
pipeline_tag: text-generation
tags: [context-distillation, bakery]
---

# A baked context

{what}
It answers as if it had been given a prompt, without the prompt: strength {strength:g}, base `{base}`.
Made with bakery {version}.

{use}

A server must not change what is asked or how it is drawn: the same chat template, and no repetition penalty.

## Checked

{checked}

`export.json` holds the figures.
"""


def export_card(result: ExportResult, rank: int) -> str:
    """The text. The baked prompt is not in it."""
    allowed = next((most for most in VLLM_RANKS if rank <= most), rank)
    return _CARD.format(
        base=result.base_model,
        library=_LIBRARIES[result.to],
        what=_WHAT[result.to],
        strength=result.strength,
        version=__version__,
        use=_USE[result.to].format(base=result.base_model, rank=allowed),
        checked="\n".join(f"- {line.strip()}" for line in told(result)[1:]),
    )
