"""The command line: thin verbs over the library, one line for every mistake, an exit code for every kind of it.

The verbs import what they need themselves, so that `--help` and a mistake in the command line are answered at once.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakery import __version__
from bakery.errors import BakeryError, ConfigError

if TYPE_CHECKING:
    from bakery.progress import Verbosity
    from bakery.settings.build import CheckedSettings

HELP = """\
Bake a context into LoRA weights: afterwards the model behaves as if prompted.

  bakery --model_name_or_path Qwen/Qwen3-0.6B --system_prompt "You are Ada ..."

usage: bakery [bake] [--config FILE] [--plan] [--any_setting VALUE ...]
       bakery inspect --config FILE [--rows N] [--html FILE] [--gap]
       bakery eval --adapter DIR [--config FILE] [--strength X Y ... | sweep]
       bakery schema

verbs
  bake       learn the prefix into an adapter, prove it, write it to output_dir (the default)
  inspect    show what teacher and student see of a few rows, token by token; loads no weights;
             --gap loads the model too and measures how much the prompt changes it
  eval       prove an adapter that is there already, also at other strengths (0 base, 1 as baked)
  schema     print the JSON schema of the settings file, for editors

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
_STRONGEST = 1.5
GRACE_SECONDS = 10.0
"""How long a process that failed beside others waits to be ended before it says why."""
VERBS = ("bake", "inspect", "eval", "schema")
_SHORT = {"-c": "--config", "-q": "--quiet", "-h": "--help"}
_FLAGS = ("quiet", "verbose", "help", "version", "gap", "plan")
_OPTIONS = ("config", "rows", "html", "adapter", "strength")
_VERB_OF = {"rows": "inspect", "html": "inspect", "gap": "inspect", "adapter": "eval", "strength": "eval",
            "plan": "bake"}  # fmt: skip
_QUIET_LIBRARIES = {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_VERBOSITY": "error", "TORCH_CPP_LOG_LEVEL": "ERROR",
                    "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}  # fmt: skip


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
    while rest:
        word = rest.pop(0)
        option, equals, value = word.partition("=")
        long = _SHORT.get(option, option)
        key = long[2:] if long.startswith("--") else ""
        if key in _FLAGS and not equals:
            given[key] = True
        elif key in _OPTIONS:
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
    for key, verb in _VERB_OF.items():
        if key in given and command.verb != verb:
            raise ConfigError(f"command line: --{key}: belongs to the verb {verb}; write bakery {verb} ...")
    return command


def _verb(word: str) -> str:
    from bakery.text import suggestion

    if word in VERBS:
        return word
    if Path(word).suffix in (".yaml", ".yml", ".json"):
        raise ConfigError(f"command line: unexpected argument {word!r}; write --config {word}")
    remedy = suggestion(word, VERBS, f"verbs are {', '.join(VERBS)}")
    raise ConfigError(f"command line: unknown verb {word!r}; {remedy}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line, by default that of this process, and return its exit code (see `errors`)."""
    words = sys.argv[1:] if argv is None else argv
    try:
        with ExitStack() as stack:
            stack.push(_wait_unless_first)
            return _run(read_command(words))
    except BakeryError as error:
        if "--verbose" in words:
            traceback.print_exc()
        print(f"bakery: error: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        if _first_process():
            print("bakery: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _first_process() -> bool:
    """Whether this is the only process, or the first of those that torchrun or accelerate started."""
    return os.environ.get("RANK", "0") == "0"


def _wait_unless_first(kind: type[BaseException] | None, *_: object) -> None:
    """Of several processes that fail, let one say why: the launcher ends all when one of them has ended.

    The first process reports at once when it knows the reason. The others wait to be ended: mostly they fail for the
    same reason, or see only that another process is gone. A process that is not ended reports after the wait.
    """
    if kind is None or kind is KeyboardInterrupt or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return
    if not (_first_process() and issubclass(kind, BakeryError)):
        time.sleep(GRACE_SECONDS)


def _run(command: Command) -> int:
    if command.help:
        print(HELP, end="")
    elif command.version:
        print(f"bakery {__version__}")
    else:
        {"bake": _bake, "inspect": _inspect, "eval": _eval, "schema": _schema}[command.verb](command)
    return 0


def _check(command: Command, *, of_run: bool = False) -> CheckedSettings:
    """Read the file's settings and the command line's over them, and check all that needs neither rows nor a model.

    `of_run`: the file is that of a run folder, which may lack the prompt.
    """
    from bakery.settings.build import check_settings
    from bakery.settings.paths import resolve_model
    from bakery.settings.reading import Settings, check_prompt, read_command_line, read_settings_file

    if not command.verbose:  # before libraries are imported: they read these variables then
        for name, value in _QUIET_LIBRARIES.items():
            os.environ.setdefault(name, value)
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # peft imports it where it is installed
    if command.config is None and not command.overrides:
        raise ConfigError(f"no settings given; write {FIRST_COMMAND}, or --config FILE; see bakery --help")
    base = read_settings_file(command.config) if command.config is not None else Settings()
    given = base.overridden_by(read_command_line(command.overrides))
    if of_run:
        check_prompt(given)
    checked = check_settings(given)
    resolve_model(checked.model.model_name_or_path, checked.given.at("model_name_or_path"))
    return checked


def _verbosity(command: Command) -> Verbosity:
    from bakery.progress import Verbosity

    if command.quiet and command.verbose:
        raise ConfigError("command line: --quiet and --verbose contradict each other; keep one")
    return Verbosity.QUIET if command.quiet else Verbosity.VERBOSE if command.verbose else Verbosity.NORMAL


def _bake(command: Command) -> None:
    from bakery.progress import Progress, Verbosity
    from bakery.rows.bake_data import load_bake_data
    from bakery.rows.sources import is_local
    from bakery.settings.build import build
    from bakery.settings.checks import bake_problems, refuse
    from bakery.settings.paths import check_checkpoint, check_output

    verbosity = _verbosity(command)
    checked = _check(command)
    at, values = checked.given.at, checked.values
    output_dir, resume = values["output_dir"], values["resume_from_checkpoint"]
    refuse(bake_problems(values), at)
    check_checkpoint(resume, output_dir, checked.model.model_name_or_path, at("resume_from_checkpoint"))
    if not command.plan:
        check_output(output_dir, bool(values["overwrite"] or resume), at("output_dir"))
    progress = Progress(verbosity if _first_process() else Verbosity.QUIET)
    for spec in dict.fromkeys((checked.data.dataset, checked.data.eval_dataset, checked.data.anchor_dataset)):
        if spec is not None and not is_local(spec):
            progress.say(f"reading {spec} from the hub")
    with progress.clock("load"):
        data = load_bake_data(checked.context, checked.data)
        settings = build(checked)
        from rich.console import Console

        from bakery.baking import bake
        from bakery.engine.model.process_group import ProcessGroup
        from bakery.evaluation.verdict import refuse_under
        from bakery.report.terminal import print_proof

    if command.plan:
        from bakery.baking import plan
        from bakery.forecast.words import table

        print(table(plan(settings, progress, data), settings.model.model_name_or_path))
        return
    result = bake(settings, progress, data)
    if _first_process():
        print_proof(result, Console())
    ProcessGroup.current().leave()
    if _first_process() and result.proof:  # one of several says it
        refuse_under(result.proof, settings.bakery.fail_under)


def _inspect(command: Command) -> None:
    from bakery.rows.bake_data import load_bake_data

    if not command.rows.isdecimal() or int(command.rows) < 1:
        raise ConfigError(f"command line: --rows: must be a whole number, at least 1, got {command.rows!r}")
    checked = _check(command)
    data = load_bake_data(checked.context, checked.data)
    from bakery.chat.inspection import run_inspect
    from bakery.engine.model.loading import load_tokenizer

    tokenizer, values = load_tokenizer(checked.model), checked.values
    run_inspect(
        tokenizer,
        data,
        checked.context,
        rows=int(command.rows),
        html_file=command.html,
        sampled=(values["num_trajectories"], values["trajectory_length"] + (values["thinking_length"] or 0)),
    )
    if command.gap:
        from rich.console import Console

        from bakery.evaluate import run_gap
        from bakery.progress import Progress
        from bakery.report.strengths import print_gap
        from bakery.settings.build import build

        print_gap(run_gap(build(checked), progress=Progress(_verbosity(command)), data=data), Console())


def _eval(command: Command) -> None:
    from bakery.progress import Progress
    from bakery.rows.bake_data import load_bake_data
    from bakery.settings.build import build
    from bakery.settings.paths import check_adapter
    from bakery.settings.reading import COMMAND_LINE

    verbosity, strengths, name = _verbosity(command), _strengths(command.strength), command.adapter
    if name is None:
        raise ConfigError("command line: --adapter: has no value; give the folder of an adapter")
    folder = Path(name).expanduser()
    if command.config is None:  # the settings that the bake left beside its adapter
        saved = folder / "bakery.yaml"
        if not saved.is_file():
            raise ConfigError(f"no settings: {name} has no bakery.yaml; give --config FILE with the context to prove")
        checked = _check(replace(command, config=str(saved)), of_run=True)
    else:
        checked = _check(command)
    asked = checked.given.entries.get("proof")
    if asked is not None and asked.location == COMMAND_LINE and asked.value == "none":  # in a file it is the bake's
        raise ConfigError("command line: --proof: none leaves nothing to evaluate; leave it out, or use quick")
    check_adapter(name, checked.model.model_name_or_path, "command line: --adapter")
    data = load_bake_data(checked.context, checked.data)
    settings, progress = build(checked), Progress(verbosity)
    from rich.console import Console

    from bakery.evaluate import SWEEP, run_eval
    from bakery.evaluation.verdict import refuse_under
    from bakery.report.strengths import print_eval

    given = checked.given.entries.get("output_dir")
    output_dir = given.value if given is not None and given.location == COMMAND_LINE else None
    result = run_eval(settings, folder, strengths or SWEEP, output_dir=output_dir, progress=progress, data=data)
    print_eval(result, Console())
    refuse_under(result.main[1], settings.bakery.fail_under)


def _strengths(words: Sequence[str]) -> tuple[float, ...] | None:
    """Read strengths; None stands for a sweep."""
    if tuple(words) == ("sweep",):
        return None
    for word in words:
        if not word.replace(".", "", 1).isdecimal() or float(word) > _STRONGEST:
            raise ConfigError(f"command line: --strength: must be 0 to at most {_STRONGEST}, or sweep, got {word!r}")
    return tuple(float(word) for word in words) or (1.0,)


def _schema(_: Command) -> None:
    from bakery.settings.reference import json_schema

    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
