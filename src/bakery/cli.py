"""The command line: thin verbs over the library, one line for every mistake, an exit code for every kind of it."""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from bakery import __version__
from bakery.errors import BakeryError, ConfigError

if TYPE_CHECKING:
    from bakery.progress import Verbosity
    from bakery.settings.reading import Settings

HELP = """\
Bake a context into LoRA weights: afterwards the model behaves as if prompted.

usage: bakery [bake] --config FILE [--any_setting VALUE ...]
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
  -q, --quiet        only errors and the result
  --verbose          more detail, and tracebacks
  -h, --help         this text
  --version          the version

settings (the most used; docs/reference.md describes all)
  what to bake       --prefix_messages_file FILE  --corpus_file FILE  --student_retained_turns N
  rows               --training_prompts A B C  --dataset FILE_OR_HUB_ID  --heldout_file FILE
  model              --model_name_or_path NAME  --torch_dtype bfloat16  --load_in_4bit
  adapter            --r 16  --lora_alpha 32  --target_modules q_proj v_proj
  training           --num_train_epochs 3  --learning_rate 1e-3  --output_dir FOLDER  --seed 42

examples
  bakery --config examples/quickstart.yaml
  bakery --config examples/basic.yaml --num_train_epochs 5 --learning_rate=5e-4
  bakery inspect --config examples/basic.yaml --rows 3
"""

_STRONGEST = 1.5
GRACE_SECONDS = 10.0
"""How long a process that failed beside others waits to be ended before it says why."""
VERBS = ("bake", "inspect", "eval", "schema")


@dataclass(frozen=True, slots=True)
class Command:
    """A command line taken apart: the verb, its own options, and the words that override settings."""

    verb: str = "bake"
    config: str | None = None
    quiet: bool = False
    verbose: bool = False
    help: bool = False
    version: bool = False
    rows: str | None = None
    html: str | None = None
    gap: bool = False
    adapter: str | None = None
    strength: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()


_FLAGS = {"-q": "quiet", "--quiet": "quiet", "--verbose": "verbose", "-h": "help", "--help": "help",
          "--version": "version", "--gap": "gap"}  # fmt: skip
_OPTIONS = {"-c": "config", "--config": "config", "--rows": "rows", "--html": "html", "--adapter": "adapter",
            "--strength": "strength"}  # fmt: skip
_BELONGS = {"rows": "inspect", "html": "inspect", "gap": "inspect", "adapter": "eval", "strength": "eval"}


def read_command(words: Sequence[str]) -> Command:
    """Take a command line apart.

    Raises:
        ConfigError: an unknown verb, an option without its value or given twice.
    """
    found: dict[str, object] = {}
    rest = list(words)
    if rest and not rest[0].startswith("-"):
        found["verb"] = _verb(rest.pop(0))
    overrides: list[str] = []
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if name in _FLAGS and not equals:
            found[_FLAGS[name]] = True
        elif name in _OPTIONS:
            key = _OPTIONS[name]
            if key in found:
                raise ConfigError(f"command line: {name}: given twice; keep one")
            if not equals and (not rest or rest[0].startswith("--")):
                raise ConfigError(f"command line: {name}: has no value; give one")
            values = [value] if equals else [rest.pop(0)]
            while key == "strength" and not equals and rest and not rest[0].startswith("-"):
                values.append(rest.pop(0))
            found[key] = tuple(values) if key == "strength" else values[0]
        else:
            overrides.append(word)
    command = Command(**found, overrides=tuple(overrides))  # type: ignore[arg-type]
    for key, verb in _BELONGS.items():
        if key in found and command.verb != verb:
            raise ConfigError(f"command line: --{key}: belongs to the verb {verb}; write bakery {verb} ...")
    return command


def _verb(word: str) -> str:
    if word in VERBS:
        return word
    if Path(word).suffix in (".yaml", ".yml", ".json"):
        raise ConfigError(f"command line: unexpected argument {word!r}; write --config {word}")
    from bakery.text import nearest

    near = nearest(word, VERBS)
    hint = f"did you mean {near}?" if near else f"verbs are {', '.join(VERBS)}"
    raise ConfigError(f"command line: unknown verb {word!r}; {hint}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code (see `errors` for what each means).

    Args:
        argv: the words after the program's name; None: those of this process.
    """
    words = sys.argv[1:] if argv is None else argv
    try:
        with ExitStack() as stack:
            stack.push(_one_voice)
            return run(read_command(words))
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


def _one_voice(kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
    """Of several processes that fail, let one say why: the launcher ends all when one of them has ended.

    The first one speaks at once when it knows the reason. The others mostly fail for the same one, and who sees only
    that another process is gone knows none: they wait to be ended, and whoever is left then has something to say.
    """
    if kind is None or kind is KeyboardInterrupt or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return
    if not (_first_process() and issubclass(kind, BakeryError)):
        time.sleep(GRACE_SECONDS)


def run(command: Command) -> int:
    """Run one verb.

    Raises:
        BakeryError: whatever the verb refuses to do.
    """
    if command.help:
        print(HELP, end="")
        return 0
    if command.version:
        print(f"bakery {__version__}")
        return 0
    verbs: dict[str, Callable[[Command], int]] = {"bake": _bake, "inspect": _inspect, "eval": _eval, "schema": _schema}
    return verbs[command.verb](command)


def read_settings(command: Command) -> Settings:
    """Read the settings of a command: the file's, overridden by the command line's.

    Raises:
        ConfigError: there are none, or they cannot be used.
    """
    from bakery.settings.reading import Settings, read_command_line, read_settings_file

    if command.config is None and not command.overrides:
        raise ConfigError("no settings given; write --config FILE, or see bakery --help")
    base = read_settings_file(command.config) if command.config is not None else Settings()
    return base.overridden_by(read_command_line(command.overrides))


def _verbosity(command: Command) -> Verbosity:
    from bakery.progress import Verbosity

    if command.quiet and command.verbose:
        raise ConfigError("command line: --quiet and --verbose contradict each other; keep one")
    return Verbosity.QUIET if command.quiet else Verbosity.VERBOSE if command.verbose else Verbosity.NORMAL


def _bake(command: Command) -> int:
    from bakery.progress import Progress, Verbosity
    from bakery.rows.bake_data import load_bake_data
    from bakery.rows.sources import is_local
    from bakery.settings.build import build, check_settings
    from bakery.settings.paths import check_checkpoint, check_output, resolve_model

    verbosity = _verbosity(command)
    settings = read_settings(command)
    checked = check_settings(settings)
    base_model, given = checked.model.model_name_or_path, checked.values
    output_dir, resume = given["output_dir"], given["resume_from_checkpoint"]
    resolve_model(base_model, settings.at("model_name_or_path"))
    check_checkpoint(resume, output_dir, base_model, settings.at("resume_from_checkpoint"))
    check_output(output_dir, bool(given["overwrite"] or resume), settings.at("output_dir"))
    _quiet_libraries(command)
    progress = Progress(verbosity if _first_process() else Verbosity.QUIET)
    for spec in (checked.data.dataset, checked.data.eval_dataset, checked.data.anchor_dataset):
        if spec is not None and not is_local(spec):
            progress.say(f"reading {spec} from the hub")
    with progress.clock("load"):
        data = load_bake_data(checked.context, checked.data)
        ready = build(checked)
        from rich.console import Console

        from bakery.baking import bake
        from bakery.engine.model.process_group import ProcessGroup
        from bakery.report.terminal import print_proof

    result = bake(ready, progress, data)
    if _first_process():
        print_proof(result, Console())
    ProcessGroup.current().leave()
    return 0


def _quiet_libraries(command: Command) -> None:
    """Let no library write between our lines, unless everything is asked for; works before they are imported."""
    if not command.verbose:
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        os.environ.setdefault("HF_HUB_VERBOSITY", "error")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # peft imports it where it is installed


def _inspect(command: Command) -> int:
    from bakery.rows.bake_data import load_bake_data
    from bakery.settings.build import build, check_settings
    from bakery.settings.paths import resolve_model

    rows = _row_count(command.rows)
    settings = read_settings(command)
    checked = check_settings(settings)
    resolve_model(checked.model.model_name_or_path, settings.at("model_name_or_path"))
    _quiet_libraries(command)
    data = load_bake_data(checked.context, checked.data)
    from bakery.chat.inspection import run_inspect
    from bakery.engine.model.loading import load_tokenizer

    run_inspect(load_tokenizer(checked.model), data, checked.context, rows=rows, html_file=command.html)
    if command.gap:
        from rich.console import Console

        from bakery.evaluate import run_gap
        from bakery.progress import Progress
        from bakery.report.strengths import print_gap

        print_gap(run_gap(build(checked), progress=Progress(_verbosity(command)), data=data), Console())
    return 0


def _row_count(word: str | None) -> int:
    if word is None:
        return 4
    if not word.isdecimal() or int(word) < 1:
        raise ConfigError(f"command line: --rows: must be a whole number, at least 1, got {word!r}")
    return int(word)


def _eval(command: Command) -> int:
    from bakery.progress import Progress
    from bakery.rows.bake_data import load_bake_data
    from bakery.settings.build import build, check_settings
    from bakery.settings.paths import check_adapter, resolve_model
    from bakery.settings.reading import COMMAND_LINE

    verbosity, strengths = _verbosity(command), _strengths(command.strength)
    if command.adapter is None:
        raise ConfigError("command line: --adapter: has no value; give the folder of an adapter")
    settings = read_settings(_with_settings_of_adapter(command, Path(command.adapter)))
    checked = check_settings(settings)
    resolve_model(checked.model.model_name_or_path, settings.at("model_name_or_path"))
    check_adapter(command.adapter, checked.model.model_name_or_path, "command line: --adapter")
    _quiet_libraries(command)
    data = load_bake_data(checked.context, checked.data)
    ready = build(checked)
    from rich.console import Console

    from bakery.evaluate import SWEEP, run_eval
    from bakery.report.strengths import print_eval

    output_dir = settings.entries.get("output_dir")
    folder = output_dir.value if output_dir is not None and output_dir.location == COMMAND_LINE else None
    adapter = Path(command.adapter).expanduser()
    result = run_eval(ready, adapter, strengths or SWEEP, output_dir=folder, progress=Progress(verbosity), data=data)
    print_eval(result, Console())
    return 0


def _with_settings_of_adapter(command: Command, adapter: Path) -> Command:
    """Take the settings that the bake left beside its adapter, where no others are given."""
    saved = adapter.expanduser() / "bakery.yaml"
    if command.config is not None:
        return command
    if not saved.is_file():
        raise ConfigError(f"no settings: {adapter} has no bakery.yaml; give --config FILE with the context to prove")
    return replace(command, config=str(saved))


def _strengths(words: Sequence[str]) -> tuple[float, ...] | None:
    """Read strengths; None stands for a sweep."""
    if tuple(words) == ("sweep",):
        return None
    for word in words:
        if not word.replace(".", "", 1).isdecimal() or float(word) > _STRONGEST:
            raise ConfigError(f"command line: --strength: must be 0 to at most {_STRONGEST}, or sweep, got {word!r}")
    return tuple(float(word) for word in words) or (1.0,)


def _schema(command: Command) -> int:
    import json

    from bakery.settings.reference import json_schema

    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    return 0
