"""Completion scripts for bash, zsh and fish: verbs, their options, settings with their values, files and folders.

The scripts are made from the command line's own tables and the catalog of settings, and hold all they need: nothing is
started while somebody types. Torch-free.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from bakery.command_line import FLAGS, OPTIONS, TAKES_WORDS, VERBS, VERBS_OF
from bakery.errors import ConfigError
from bakery.exporting.request import FORMS
from bakery.settings.catalog import all_fields
from bakery.settings.checks import PATH_KEYS
from bakery.text import suggestion

_WITHOUT_SETTINGS = ("push", "schema", "completion")
_FILES = ("config", "html", *PATH_KEYS)
_FOLDERS = ("adapter", "llama_cpp", "python", "output_dir", "resume_from_checkpoint")
_MODELS = ("model_name_or_path",)
_SWITCHES = ("true", "false")


@dataclass(frozen=True, slots=True)
class Option:
    """One option of the command line.

    Args:
        name: without its dashes.
        verbs: those that it belongs to.
        values: the words that it may be followed by; empty where it is no choice.
        paths: whether it is followed by a path.
        flag: whether it stands alone.
        help: the first words of what it is.
    """

    name: str
    verbs: tuple[str, ...]
    values: tuple[str, ...] = ()
    paths: bool = False
    flag: bool = False
    help: str = ""


@cache
def options() -> tuple[Option, ...]:
    """Every option: the command's own, then the settings."""
    values = {"to": tuple(FORMS), "strength": ("sweep",), "engine": ("vllm", "llama")}
    own = [
        Option(name, VERBS_OF.get(name, VERBS), values.get(name, ()), name in (*_FILES, *_FOLDERS), name in FLAGS)
        for name in (*OPTIONS, *FLAGS)
    ]
    with_settings = tuple(verb for verb in VERBS if verb not in _WITHOUT_SETTINGS)
    fields = [
        Option(
            name,
            with_settings,
            item.choices or (_SWITCHES if "bool" in item.kinds else ()),
            name in (*_FILES, *_FOLDERS, *_MODELS),
            help=item.help.partition(". ")[0].partition("\n")[0],
        )
        for item in all_fields().values()
        for name in (item.name, *item.aliases)
    ]
    return (*own, *fields)


def completion(shell: str) -> str:
    """The script that teaches a shell to complete `bakery`.

    Raises:
        ConfigError: there is none for this shell.
    """
    if shell not in SHELLS:
        remedy = suggestion(shell, SHELLS, f"allowed are {', '.join(SHELLS)}")
        raise ConfigError(f"command line: completion: unknown shell {shell!r}; {remedy}")
    return SHELLS[shell]()


_BASH = """\
# Completion of bakery in bash: eval "$(bakery completion bash)"
_bakery() {
  local current="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" verb=bake
  if [[ $current == "=" ]]; then current=""
  elif [[ $before == "=" ]]; then before="${COMP_WORDS[COMP_CWORD-2]}"; fi
  case "${COMP_WORDS[1]}" in @VERBS@) verb="${COMP_WORDS[1]}" ;; esac
  case "${before//-/_}" in
    @PATHS@) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
@VALUES@
  esac
  if [[ $current == -* ]]; then
    local words
    case "$verb" in
@OPTIONS@
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  elif [[ $COMP_CWORD == 1 ]]; then
    mapfile -t COMPREPLY < <(compgen -W "@WORDS@" -- "$current")
  elif [[ $verb == completion ]]; then
    mapfile -t COMPREPLY < <(compgen -W "@SHELLS@" -- "$current")
  else
    compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$current")
  fi
}
complete -F _bakery bakery
"""


def _bash() -> str:
    reply = 'mapfile -t COMPREPLY < <(compgen -W "{}" -- "$current"); return'
    return _filled(_BASH, values=reply, offered='words="{}"')


_ZSH = """\
#compdef bakery
# Completion of bakery in zsh: source <(bakery completion zsh), after compinit; or a file _bakery in a folder of fpath.
_bakery() {
  local before="${words[CURRENT-1]}" verb=bake
  case "${words[2]}" in @VERBS@) verb="${words[2]}" ;; esac
  if [[ "$PREFIX" == --*=* ]]; then before="${PREFIX%%=*}"; compset -P 1 '*='; fi
  case "${before//-/_}" in
    @PATHS@) _files; return ;;
@VALUES@
  esac
  if [[ "$PREFIX" == -* ]]; then
    case "$verb" in
@OPTIONS@
    esac
  elif (( CURRENT == 2 )); then
    compadd -- @WORDS@
  elif [[ "$verb" == completion ]]; then
    compadd -- @SHELLS@
  else
    _files -/
  fi
}
if [[ "${funcstack[1]}" == _bakery ]]; then _bakery "$@"; else compdef _bakery bakery; fi
"""


def _zsh() -> str:
    return _filled(_ZSH, values="compadd -- {}; return", offered="compadd -- {}")


def _fish() -> str:
    first = f"not __fish_seen_subcommand_from {' '.join(VERBS)}; and test (count (commandline -opc)) -eq 1"
    lines = [
        "# Completion of bakery in fish: bakery completion fish | source",
        "complete -c bakery -f",
        f"complete -c bakery -n '{first}' -a '{' '.join(VERBS)}'",
        f"complete -c bakery -n '{_seen(verb for verb in TAKES_WORDS if verb != 'completion')}' "
        "-a '(__fish_complete_directories)'",
        f"complete -c bakery -n '{_seen(['completion'])}' -a '{' '.join(SHELLS)}'",
    ]
    for one in options():
        argument = (
            "" if one.flag else " -rF" if one.paths else f" -xa '{' '.join(one.values)}'" if one.values else " -x"
        )
        about = f" -d '{_quoted(one.help[:60])}'" if one.help else ""
        lines.append(f"complete -c bakery -n '{_condition(one)}' -l {one.name}{argument}{about}")
    return "\n".join(lines) + "\n"


def _condition(option: Option) -> str:
    """When fish offers an option: behind a verb that takes it, and a bake needs no verb."""
    others = [verb for verb in VERBS if verb not in option.verbs]
    if "bake" in option.verbs:
        return f"not {_seen(others)}" if others else "true"
    return _seen(option.verbs)


def _seen(verbs: Iterator[str] | tuple[str, ...] | list[str]) -> str:
    return f"__fish_seen_subcommand_from {' '.join(verbs)}"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _words_of(verb: str) -> list[str]:
    """The options of a verb as they are typed."""
    return [f"--{one.name}" for one in options() if verb in one.verbs]


def _filled(script: str, *, values: str, offered: str) -> str:
    """A script with the tables in it; what it does with the values and options of a case has a `{}` for the words."""
    parts = {
        "VERBS": "|".join(VERBS),
        "WORDS": " ".join(VERBS),
        "SHELLS": " ".join(SHELLS),
        "PATHS": "|".join(f"__{one.name}" for one in options() if one.paths),
        "VALUES": "\n".join(
            f"    {'|'.join(own)}) {values.format(' '.join(words))} ;;" for words, own in _options_by_values().items()
        ),
        "OPTIONS": "\n".join(f"      {verb}) {offered.format(' '.join(_words_of(verb)))} ;;" for verb in VERBS),
    }
    for name, text in parts.items():
        script = script.replace(f"@{name}@", text)
    return script


def _options_by_values() -> dict[tuple[str, ...], list[str]]:
    """By the words that may follow, the options that they may follow, as the scripts compare them."""
    names: dict[tuple[str, ...], list[str]] = {}
    for one in options():
        if one.values:
            names.setdefault(one.values, []).append(f"__{one.name}")
    return names


SHELLS: dict[str, Callable[[], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
