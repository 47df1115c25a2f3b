"""`bakery inspect`: what teacher and student see of a few rows, and with --gap how much the prompt changes."""

from bakery.command_line import Command
from bakery.errors import ConfigError
from bakery.verbs.checked import check, verbosity_of


def run(command: Command) -> None:
    """Show the rows, and measure the gap if that is asked for.

    Raises:
        BakeryError: whatever is refused.
    """
    from bakery.rows.bake_data import load_bake_data
    from bakery.settings.files import file_to_write

    if not command.rows.isdecimal() or int(command.rows) < 1:
        raise ConfigError(f"command line: --rows: must be a whole number, at least 1, got {command.rows!r}")
    if command.html is not None:
        file_to_write(command.html, ConfigError, "command line: --html")
    checked = check(command)
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

        print_gap(run_gap(build(checked), progress=Progress(verbosity_of(command)), data=data), Console())
