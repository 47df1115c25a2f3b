"""A command line taken apart: the verb, its own options, and the words that override settings; and the help."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakery.errors import ConfigError
from bakery.text import suggestion

HELP = """\
Bake a context into LoRA weights: afterwards the model behaves as if prompted.

  bakery --model_name_or_path Qwen/Qwen3-0.6B --system_prompt "You are Ada ..."

usage: bakery [bake] [--config FILE] [--plan] [--any_setting VALUE ...]
       bakery inspect --config FILE [--rows N] [--html FILE] [--gap]
       bakery eval --adapter DIR [--config FILE] [--strength X Y ... | sweep]
       bakery compare DIR DIR [DIR ...] [--config FILE]
       bakery chat [DIR] [--config FILE] [--any_setting VALUE ...]
       bakery taste [DIR ...] [--config FILE] [--any_setting VALUE ...] [--host NAME] [--port N]
       bakery export DIR --to FORM [--strength X] [--dtype NAME] [--output_dir FOLDER] [--overwrite]
       bakery serve DIR [DIR ...] [--engine vllm | llama] [--print] [--bench] [-- OPTION ...]
       bakery push DIR --repo_id OWNER/NAME [--private] [--include_prompt] [--dry_run]
       bakery schema | bakery completion SHELL

verbs
  bake       learn the prefix into an adapter, prove it, write it to output_dir (the default)
  inspect    show what teacher and student see of a few rows, token by token; loads no weights;
             --gap loads the model too and measures how much the prompt changes it
  eval       prove an adapter that is there already, also at other strengths (0 base, 1 as baked)
  compare    ask several adapters the same questions and hold each against the first
  chat       talk to a bake in the terminal; /help there shows how to ask base and prompted model;
             without DIR, to a model with and without the prompt that is given
  taste      open a page of this machine: base, prompted and baked side by side, token by token;
             without DIR, a prompt before it is baked, with a button that bakes it
  export     write an adapter for servers and ask it again there; FORM is merged, adapter, mlx,
             gguf or gguf-adapter (with --llama_cpp DIR)
  serve      start vLLM or llama.cpp with adapters, ask them, and stay; --print prints the
             command, --bench measures what they save, -- OPTION is handed to the server
  push       upload a bake without its prompt; --include_prompt sends that too
  schema     print the JSON schema of the settings file, for editors
  completion print a completion script; SHELL is bash, zsh or fish

options
  --config FILE      settings as flat YAML or JSON; the command line wins over the file
  --plan             tell the tokens, seconds and memory that a bake would take, and do nothing else
  -q, --quiet        only errors and the result
  --verbose          more detail, and tracebacks
  -h, --help         this text
  --version          the version

settings (the most used; docs/reference.md describes all)
  what to bake       --system_prompt TEXT  --prefix_messages_file FILE  --corpus_file FILE
  rows               --training_prompts A B C  --dataset FILE_OR_HUB_ID  --heldout_file FILE
  model              --model_name_or_path NAME  --torch_dtype bfloat16  --load_in_4bit
  adapter            --r 16  --lora_alpha 32  --target_modules q_proj v_proj
  training           --num_train_epochs 3  --learning_rate 1e-3  --output_dir FOLDER  --seed 42

examples
  bakery --config examples/quickstart.yaml
  bakery --config examples/basic.yaml --num_train_epochs 5 --learning_rate=5e-4
  bakery inspect --config examples/basic.yaml --rows 3
"""

FIRST_COMMAND = 'bakery --model_name_or_path Qwen/Qwen3-0.6B --system_prompt "You are Ada ..."'
VERBS = ("bake", "inspect", "eval", "compare", "chat", "taste", "export", "serve", "push", "schema", "completion")
TAKES_WORDS = ("compare", "chat", "taste", "export", "serve", "push", "completion")
"""Verbs that are followed by words of their own: folders, or the name of a shell."""
_SHORT = {"-c": "--config", "-q": "--quiet", "-h": "--help"}
FLAGS = ("quiet", "verbose", "help", "version", "gap", "plan", "allow_other_tokens", "print", "bench", "private",
         "include_prompt", "dry_run", "allow_local_base")  # fmt: skip
OPTIONS = ("config", "rows", "html", "adapter", "strength", "host", "port", "to", "llama_cpp", "engine", "python",
           "timeout", "pre_tokenizer", "repo_id", "revision", "commit_message", "base_model")  # fmt: skip
VERBS_OF = {"rows": ("inspect",), "html": ("inspect",), "gap": ("inspect",), "adapter": ("eval",), "plan": ("bake",),
            "strength": ("eval", "export"), "host": ("taste", "serve"), "port": ("taste", "serve"),
            "to": ("export",), "llama_cpp": ("export", "serve"), "allow_other_tokens": ("export",),
            "pre_tokenizer": ("export",), "python": ("serve", "export"), "timeout": ("serve", "export"),
            **dict.fromkeys(("engine", "print", "bench"), ("serve",)),
            **dict.fromkeys(("repo_id", "private", "include_prompt", "dry_run", "allow_local_base", "revision",
                             "commit_message", "base_model"), ("push",))}  # fmt: skip
"""By option, the verbs that it belongs to; the others belong to all."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command line taken apart: the verb, its own options, and the words that override settings."""

    verb: str = "bake"
    config: str | None = None
    quiet: bool = False
    verbose: bool = False
    help: bool = False
    version: bool = False
    rows: str = "4"
    html: str | None = None
    gap: bool = False
    plan: bool = False
    adapter: str | None = None
    strength: tuple[str, ...] = ()
    to: str | None = None
    llama_cpp: str | None = None
    allow_other_tokens: bool = False
    pre_tokenizer: str | None = None
    engine: str = "vllm"
    python: str | None = None
    timeout: str | None = None
    print: bool = False
    bench: bool = False
    more: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: str | None = None
    repo_id: str | None = None
    private: bool = False
    include_prompt: bool = False
    dry_run: bool = False
    allow_local_base: bool = False
    revision: str | None = None
    commit_message: str = "Upload a baked context"
    base_model: str | None = None
    overrides: tuple[str, ...] = ()


def read_command(words: Sequence[str]) -> Command:
    """Take a command line apart.

    Raises:
        ConfigError: an unknown verb, an option without its value or given twice.
    """
    given: dict[str, Any] = {}
    overrides: list[str] = []
    rest = list(words)
    if rest and not rest[0].startswith("-"):
        given["verb"] = _verb(rest.pop(0))
    if given.get("verb") == "serve" and "--" in rest:
        end = rest.index("--")
        given["more"], rest = tuple(rest[end + 1 :]), rest[:end]
    if given.get("verb") in TAKES_WORDS:
        count = next((at for at, word in enumerate(rest) if word.startswith("-")), len(rest))
        given["folders"], rest = tuple(rest[:count]), rest[count:]
    while rest:
        word = rest.pop(0)
        option, equals, value = word.partition("=")
        long = _SHORT.get(option, option)
        key = long[2:] if long.startswith("--") else ""
        if key in FLAGS and not equals:
            given[key] = True
        elif key in OPTIONS:
            if key in given:
                raise ConfigError(f"command line: {option}: given twice; keep one")
            if not equals and (not rest or rest[0].startswith("--")):
                raise ConfigError(f"command line: {option}: has no value; give one")
            values = [value if equals else rest.pop(0)]
            while key == "strength" and not equals and rest and not rest[0].startswith("-"):
                values.append(rest.pop(0))
            given[key] = tuple(values) if key == "strength" else values[0]
        else:
            overrides.append(word)
    command = Command(**given, overrides=tuple(overrides))
    for key, verbs in VERBS_OF.items():
        if key in given and command.verb not in verbs:
            named = f"belongs to the verb {' or '.join(verbs)}; write bakery {verbs[0]} ..."
            raise ConfigError(f"command line: --{key}: {named}")
    return command


def _verb(word: str) -> str:
    if word in VERBS:
        return word
    if Path(word).suffix in (".yaml", ".yml", ".json"):
        raise ConfigError(f"command line: unexpected argument {word!r}; write --config {word}")
    remedy = suggestion(word, VERBS, f"verbs are {', '.join(VERBS)}")
    raise ConfigError(f"command line: unknown verb {word!r}; {remedy}")
