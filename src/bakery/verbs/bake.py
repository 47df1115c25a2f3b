"""`bakery bake`: settings to a finished folder, or with --plan what that would take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bakery.command_line import Command
from bakery.errors import ConfigError
from bakery.interruption import stop_on_signals
from bakery.verbs.checked import check, is_first_process, verbosity_of

if TYPE_CHECKING:
    from bakery.progress import Progress


def run(command: Command) -> None:
    """Bake, print the proof, and judge it by `fail_under`.

    Raises:
        BakeryError: whatever is refused.
    """
    from bakery.progress import Progress, Verbosity
    from bakery.rows.bake_data import load_bake_data
    from bakery.rows.sources import is_local
    from bakery.settings.build import build
    from bakery.settings.checks import bake_problems, refuse
    from bakery.settings.files import as_path
    from bakery.settings.paths import check_checkpoint, check_output
    from bakery.settings.run_state import AUTO, read_state

    verbosity = verbosity_of(command)
    checked = check(command)
    at, values = checked.given.at, checked.values
    output_dir, resume = values["output_dir"], values["resume_from_checkpoint"]
    refuse(bake_problems(values), at)
    check_checkpoint(resume, output_dir, checked.model.model_name_or_path, at("resume_from_checkpoint"))
    if not command.plan:
        folder = as_path(output_dir or "outputs", ConfigError, at("output_dir"))
        may_go_on = resume if resume != AUTO else read_state(folder)
        check_output(output_dir, bool(values["overwrite"] or may_go_on), at("output_dir"))
    progress = Progress(verbosity if is_first_process() else Verbosity.QUIET)
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
        from bakery.starting import folder_of, is_finished

    if command.plan:
        from bakery.baking import plan
        from bakery.forecast.words import table

        print(table(plan(settings, progress, data), settings.model.model_name_or_path))
        return
    if is_finished(settings, data):
        if is_first_process():
            _tell_finished(folder_of(settings), settings.bakery.fail_under, progress)
        return
    with stop_on_signals() as interruption:
        result = bake(settings, progress, data, interruption=interruption)
    if is_first_process():
        print_proof(result, Console())
    ProcessGroup.current().leave()
    if is_first_process() and result.proof:  # one of several says it
        refuse_under(result.proof, settings.bakery.fail_under)


def _tell_finished(folder: Path, least: float | None, progress: Progress) -> None:
    """Say that there is nothing to do, and judge the finished bake by `fail_under` as it was judged then."""
    from bakery.evaluation.verdict import HEADLINES, refuse_level_under
    from bakery.report.results import read_results

    results = read_results(folder)
    level, closed = results["verdict"]["level"], (results["divergence"] or {}).get("share_closed")
    progress.say(f"{folder} holds this bake, finished; overwrite: true bakes it anew")
    progress.say(f"  {HEADLINES[level]}")
    refuse_level_under(level, closed and closed["mean"], least)
