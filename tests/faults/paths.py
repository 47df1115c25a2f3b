"""A folder of things that are not what their names promise, and names that are no names."""

import os
import socket
from pathlib import Path

from tests.command_support import CONFIG

NAMES = (
    "pipe",
    "pipe.yaml",
    "pipe.jsonl",
    "dangling",
    "loop",
    "loop.yaml",
    "zero",
    "zero.jsonl",
    "zero.yaml",
    "full",
    "empty",
    "with space",
    "ünïcode",
    "file",
    "sparse.json",
    "sparse.jsonl",
    "sparse.yaml",
    "socket",
    "pipes",
    "zeros",
    "folders",
    "model of pipes",
    "/dev/zero",
    "/dev/stdin",
    "/dev/full",
    "/dev/null",
    "/dev/tty",
    "/proc/self/mem",
    "/proc/self/environ",
    "/proc/kmsg",
    "/proc/1/cwd",
    ".",
    "..",
    "~",
    "~nobody_of_this_name",
    "/",
    "",
    "  ",
    "x" * 5000,
    "a/" * 2500,
    "a\x00b",
    "\udcff",
    "\n",
    "-",
    "*",
    "~/../~",
    ":",
    "file:///etc/passwd",
    "http://127.0.0.1:9/x",
    "\\\\host\\x",
    "C:\\x",
    "$(touch canary)",
    "{}",
    "[",
    "null",
    "../../../../../etc/passwd",
    "hf://x/y",
    "zip://x::y",
    "a b/c d",
    "a/b",
    "a//b",
    "a/b@main",
    "....",
    "\u202e",
    "a" * 256,
)

OPTIONS = {
    "config": ["--config"],
    **{
        name: ["--config", "good.yaml", f"--{name}"]
        for name in (
            "dataset",
            "system_prompt_file",
            "corpus_file",
            "heldout_file",
            "eval_dataset",
            "prefix_messages_file",
            "anchor_file",
            "output_dir",
            "model_name_or_path",
            "resume_from_checkpoint",
            "logging_dir",
        )
    },
    "html": ["inspect", "--config", "good.yaml", "--html"],
    "adapter": ["eval", "--adapter"],
    "adapter with settings": ["eval", "--config", "good.yaml", "--adapter"],
    "chat": ["chat"],
    "taste": ["taste"],
    "compare": ["compare", "pipes"],
    "export": ["export", "--to=merged"],
    "llama_cpp": ["export", "pipes", "--to", "gguf", "--config", "good.yaml", "--llama_cpp"],
}
"""By what is named, the words before the name."""


def words(option: str, name: str) -> list[str]:
    """A command line that uses a name."""
    if option == "export":
        return ["export", name, "--to", "merged"]
    return [*OPTIONS[option], name]


def fill(folder: Path) -> None:
    """Make the things that `NAMES` names."""
    for name in ("pipe", "pipe.yaml", "pipe.jsonl"):
        os.mkfifo(folder / name)
    for name, target in {"dangling": "nowhere", "loop": "loop", "loop.yaml": "loop.yaml", "full": "/dev/full"}.items():
        (folder / name).symlink_to(target)
    for name in ("zero", "zero.jsonl", "zero.yaml"):
        (folder / name).symlink_to("/dev/zero")
    for name in ("empty", "with space", "ünïcode", "pipes", "zeros", "folders", "model of pipes"):
        (folder / name).mkdir()
    for name in ("sparse.json", "sparse.jsonl", "sparse.yaml"):
        (folder / name).touch()
        os.truncate(folder / name, 2**34)
    (folder / "file").write_text("x")
    (folder / "good.yaml").write_text(CONFIG)
    with socket.socket(socket.AF_UNIX) as listening:
        before = Path.cwd()
        os.chdir(folder)
        listening.bind("socket")
        os.chdir(before)
    for name in ("adapter_config.json", "config.json", "bakery.yaml", "train.jsonl", "adapter_model.safetensors"):
        os.mkfifo(folder / "pipes" / name)
        (folder / "zeros" / name).symlink_to("/dev/zero")
        (folder / "folders" / name).mkdir()
    (folder / "model of pipes" / "config.json").write_text('{"model_type": "llama"}')
    for name in ("tokenizer.json", "tokenizer_config.json", "model.safetensors"):
        os.mkfifo(folder / "model of pipes" / name)
