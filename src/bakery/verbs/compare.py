"""`bakery compare`: several adapters held against the first."""

from bakery.command_line import Command
from bakery.errors import ConfigError
from bakery.verbs.checked import check_beside, given_output, verbosity_of


def run(command: Command) -> None:
    """Ask all adapters the same questions and print the differences.

    Raises:
        BakeryError: whatever is refused.
    """
    from bakery.progress import Progress
    from bakery.rows.bake_data import load_bake_data
    from bakery.settings.build import build
    from bakery.settings.paths import check_adapter, check_adapters

    verbosity, folders, location = verbosity_of(command), command.folders, "command line: compare"
    if len(folders) < 2:
        given = f"needs the folders of two adapters or more as its first words, got {len(folders)}"
        raise ConfigError(f"{location}: {given}; write bakery compare DIR DIR")
    check_adapters(folders, location)
    checked = check_beside(command, folders[0])
    for folder in folders:
        check_adapter(folder, checked.model.model_name_or_path, f"{location}: {folder}")
    data = load_bake_data(checked.context, checked.data)
    settings, progress = build(checked), Progress(verbosity)
    from rich.console import Console

    from bakery.compare import run_compare
    from bakery.report.comparison.outputs import print_comparison

    result = run_compare(settings, folders, output_dir=given_output(checked), progress=progress, data=data)
    print_comparison(result, Console())
