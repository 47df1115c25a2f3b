"""`bakery push`: a finished bake to the hub, its prompt only where that is asked for."""

from pathlib import Path

from bakery.command_line import Command
from bakery.errors import ConfigError, ModelError
from bakery.verbs.checked import verbosity_of

UNITS = ("bytes", "kB", "MB", "GB")


def run(command: Command) -> None:
    """Say what is sent and what stays, then send it in one commit.

    Raises:
        BakeryError: whatever is refused.
    """
    from bakery.progress import Progress
    from bakery.sharing.selection import RESULTS, base_of_adapter, select
    from bakery.sharing.upload import check_online, check_repo_id, upload

    progress = Progress(verbosity_of(command))
    folder, repo_id = _folder(command), command.repo_id
    if command.overrides:
        raise ConfigError(f"command line: {command.overrides[0]}: push takes no settings; see bakery --help")
    if repo_id is None:
        raise ConfigError("command line: --repo_id: has no value; give owner/name")
    check_repo_id(repo_id, "command line: --repo_id")
    base = base_of_adapter(folder, command.base_model)
    if not (folder / RESULTS).is_file() and any(folder.glob("checkpoint-*")):
        raise ModelError(f"{folder}: its bake is not finished: it has no {RESULTS}; the same command goes on with it")
    if base.is_local and not command.allow_local_base:
        raise ModelError(
            f"push: others cannot load the adapter's base, a folder of this machine: {base.given or 'unnamed'}; "
            "say with --base_model OWNER/NAME what it is on the hub, or go on with --allow_local_base"
        )
    if not command.dry_run:
        check_online()
    selection = select(folder, repo_id, base, include_prompt=command.include_prompt)
    progress.say(f"{'would send' if command.dry_run else 'sending'} to {repo_id}, for the base {base.public}:")
    for file in selection.sent:
        progress.say(f"  {file.name}  {size(file.size)}{f'  {file.without}' if file.without else ''}")
    progress.say("staying here:" if selection.stays else "nothing stays here")
    for name, reason in selection.stays.items():
        progress.say(f"  {name}  {reason}")
    if not command.dry_run:
        print(
            upload(
                selection.sent,
                repo_id,
                private=command.private or None,
                revision=command.revision,
                commit_message=command.commit_message,
            )
        )


def size(count: int) -> str:
    """Bytes as people read them, in powers of 1,000 as the hub shows them."""
    amount, unit = float(count), 0
    while amount >= 999.5 and unit < len(UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.3g} {UNITS[unit]}"


def _folder(command: Command) -> Path:
    if len(command.folders) != 1:
        given = f"needs the folder of one bake as its first word, got {len(command.folders)}"
        raise ConfigError(f"command line: push: {given}; write bakery push outputs/x --repo_id owner/name")
    folder = Path(command.folders[0]).expanduser()
    if not folder.is_dir():
        raise ConfigError(f"command line: push: no such folder: {folder} (looked in {Path.cwd()})")
    return folder
