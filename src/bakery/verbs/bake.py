"""`bakery bake`: settings to a finished folder, or with --plan what that would take."""

from bakery.command_line import Command
from bakery.verbs.checked import check, is_first_process, verbosity_of


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
    from bakery.settings.paths import check_checkpoint, check_output

    verbosity = verbosity_of(command)
    checked = check(command)
    at, values = checked.given.at, checked.values
    output_dir, resume = values["output_dir"], values["resume_from_checkpoint"]
    refuse(bake_problems(values), at)
    check_checkpoint(resume, output_dir, checked.model.model_name_or_path, at("resume_from_checkpoint"))
    if not command.plan:
        check_output(output_dir, bool(values["overwrite"] or resume), at("output_dir"))
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

    if command.plan:
        from bakery.baking import plan
        from bakery.forecast.words import table

        print(table(plan(settings, progress, data), settings.model.model_name_or_path))
        return
    result = bake(settings, progress, data)
    if is_first_process():
        print_proof(result, Console())
    ProcessGroup.current().leave()
    if is_first_process() and result.proof:  # one of several says it
        refuse_under(result.proof, settings.bakery.fail_under)
