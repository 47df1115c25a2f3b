"""What the tests of exports share: a tiny finished run, and stand-ins for llama.cpp's converters."""

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig as PeftLoraConfig
from peft import PeftModel, get_peft_model

from bakery.command_line import Command
from bakery.progress import Progress, Verbosity
from bakery.settings.build import BakeSettings, build
from bakery.verbs.checked import check_beside
from tests.engine_support import SYSTEM, shake, tiny_base, tokenizer

QUIET = Progress(Verbosity.QUIET)
QUESTIONS = ("Who is there?", "What is the capital of Spain?", "Why not?", "Good morning!")
CONVERTER = '''\
"""Stands in for a converter of llama.cpp: writes down what it was asked."""
import argparse, json, pathlib, sys
parser = argparse.ArgumentParser()
parser.add_argument("source"), parser.add_argument("--outfile"), parser.add_argument("--outtype")
parser.add_argument("--base")
args = parser.parse_args()
if pathlib.Path(__file__).with_name("fail").exists():
    print("reading", file=sys.stderr)
    raise NotImplementedError("BPE pre-tokenizer was not recognized")
source = pathlib.Path(args.source)
files = sorted(path.name for path in source.iterdir())
pathlib.Path(args.outfile).write_text(json.dumps({**vars(args), "files": files}))
'''


def adapted(base: Any = None, **changes: Any) -> PeftModel:
    """A random adapter of peft on a tiny model, that changes much."""
    plain = {"r": 4, "lora_alpha": 12, "target_modules": ["q_proj", "down_proj"], "task_type": "CAUSAL_LM"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft uses transformers' older names, and has advice about tied weights
        return shake(get_peft_model(base or tiny_base(), PeftLoraConfig(**{**plain, **changes}))).eval()


def make_run(folder: Path, base: str, **changes: Any) -> Path:
    """A run folder with a random adapter and four held-out questions."""
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    model = adapted(**changes)
    model.peft_config["default"].base_model_name_or_path = base
    model.save_pretrained(str(folder))
    tokenizer().save_pretrained(folder)
    (folder / "heldout.jsonl").write_text(
        "".join(json.dumps({"question": q, "answer": "Ahoy!"}) + "\n" for q in QUESTIONS)
    )
    settings = {
        "prefix_messages": [{"role": "system", "content": SYSTEM}],
        "training_prompts": ["Hello!", "Tell me a story."],
        "heldout_file": "./heldout.jsonl",
        "relative_to_file": True,
        "model_name_or_path": base,
        "self_prompts": 0,
        "self_anchors": 0,
        "trajectory_length": 8,
        "overwrite": True,
        "use_cpu": True,
    }
    (folder / "bakery.yaml").write_text(json.dumps(settings))
    return folder


def settings_of(folder: Path) -> BakeSettings:
    """The settings that lie beside an adapter."""
    return build(check_beside(Command(verb="export"), str(folder)))


def stand_in_llama_cpp(folder: Path) -> Path:
    """A folder with both converters."""
    folder.mkdir()
    for name in ("convert_hf_to_gguf.py", "convert_lora_to_gguf.py"):
        (folder / name).write_text(CONVERTER)
    return folder
