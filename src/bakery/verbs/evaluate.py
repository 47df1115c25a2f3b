"""`bakery eval`: proving an adapter that is there already."""

from collections.abc import Sequence
from pathlib import Path

from bakery.command_line import Command
from bakery.errors import ConfigError
from bakery.verbs.checked import check_beside, given_output, verbosity_of

_STRONGEST = 1.5


def run(command: Command) -> None:
    """Measure the proof at every strength that is asked for and print it.

    Raises:
        BakeryError: whatever is refused.
    """
    from bakery.progress import Progress
    from bakery.rows.bake_data import load_bake_data
    from bakery.settings.build import build
    from bakery.settings.paths import check_adapter
    from bakery.settings.reading import COMMAND_LINE

    verbosity, strengths, name = verbosity_of(command), _strengths(command.strength), command.adapter
    if name is None:
        raise ConfigError("command line: --adapter: has no value; give the folder of an adapter")
    checked = check_beside(command, name)
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

    folder, output_dir = Path(name).expanduser(), given_output(checked)
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
