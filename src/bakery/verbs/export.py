"""`bakery export`: an adapter in the form that a server takes."""

from pathlib import Path

from bakery.command_line import Command
from bakery.errors import ConfigError
from bakery.verbs.checked import check_beside, on_command_line, seconds_of, verbosity_of


def run(command: Command) -> None:
    """Write the form, ask it again, and print how many answers are equal.

    Raises:
        BakeryError: whatever is refused.
    """
    from bakery.exporting.request import FORMS, ExportRequest, check_request
    from bakery.progress import Progress
    from bakery.settings.build import build
    from bakery.settings.paths import check_adapter

    verbosity = verbosity_of(command)
    if len(command.folders) != 1:
        given = f"needs the folder of one adapter as its first word, got {len(command.folders)}"
        raise ConfigError(f"command line: export: {given}; write bakery export DIR --to merged")
    if command.to is None:
        raise ConfigError(f"command line: --to: has no value; allowed are {', '.join(FORMS)}")
    (name,) = command.folders
    checked = check_beside(command, name)
    check_adapter(name, checked.model.model_name_or_path, f"command line: export: {name}")
    output, dtype = on_command_line(checked, "output_dir"), on_command_line(checked, "torch_dtype")
    request = ExportRequest(
        to=command.to,
        strength=_strength(command.strength),
        dtype=None if dtype == "auto" else dtype,
        output_dir=None if output is None else Path(output),
        overwrite=bool(on_command_line(checked, "overwrite")),
        llama_cpp=None if command.llama_cpp is None else Path(command.llama_cpp),
        allow_other_tokens=command.allow_other_tokens,
        pre_tokenizer=command.pre_tokenizer,
        python=command.python,
        timeout=seconds_of(command.timeout),
    )
    check_request(request, Path(name).expanduser())

    from bakery.export import run_export
    from bakery.exporting.result import told
    from bakery.rows.bake_data import load_bake_data

    data = load_bake_data(checked.context, checked.data)
    result = run_export(build(checked), name, request, progress=Progress(verbosity), data=data)
    print("\n".join(told(result)))


def _strength(words: tuple[str, ...]) -> float:
    if len(words) > 1:
        raise ConfigError(f"command line: --strength: an export has one, got {len(words)}; give one")
    word = words[0] if words else "1"
    if not word.replace(".", "", 1).isdecimal():
        raise ConfigError(f"command line: --strength: must be a number from 0 to 1.5, got {word!r}")
    return float(word)
