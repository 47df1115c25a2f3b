"""Taking an adapter elsewhere: written in the form that a server takes, and asked the held-out questions again there.

The export is held against the baked model: base and adapter in float32, at the strength that is exported.
"""

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from peft import PeftModel
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from bakery.errors import DataError
from bakery.evaluate import open_to_prove
from bakery.exporting.asking import AnswerCheck, Baked, ask_baked, at_full_precision, check_answers, check_text
from bakery.exporting.card import export_card
from bakery.exporting.forms import Written, base_dtype, dtype_of, load_form, write_form
from bakery.exporting.request import RESULT_FILE, ExportRequest, check_request
from bakery.exporting.result import ExportResult, ServerCheck, export_figures
from bakery.exporting.staging import staged
from bakery.manifest import checksum
from bakery.progress import Progress
from bakery.report.results import write_json
from bakery.rows.bake_data import BakeData
from bakery.serving.exported import Exported, ask_server
from bakery.settings.build import BakeSettings
from bakery.settings.paths import check_adapter, resolve_model


@dataclass(frozen=True)
class _Source:
    """What is left of the baked model once it is written: where, and what it said."""

    baked: Baked
    measured_on: str
    written: Written


def run_export(
    settings: BakeSettings,
    adapter: str | Path,
    request: ExportRequest,
    *,
    progress: Progress | None = None,
    data: BakeData | None = None,
) -> ExportResult:
    """Write an adapter in another form, ask it the questions of these settings, and say how many answers are equal.

    Nothing is left where something is refused; the folder takes its name when all of it is written and checked.

    Args:
        settings: those of the bake, or any with the questions to be asked.
        adapter: folder of a PEFT adapter.
        request: which form, at which strength, to where.
        progress: where stages are shown; none: on standard error.
        data: the rows, where they are read already.

    Raises:
        ConfigError: the request cannot be met, or as text the questions become other tokens than in the bake.
        ModelError: the adapter does not fit or has no such form, a converter fails, or what was written in float32 is
            not the baked model.
        ResourceError: the folder cannot be written.
        BakeryError: whatever else a bake refuses.
    """
    progress = progress or Progress()
    folder = Path(adapter).expanduser()
    check_adapter(str(adapter), settings.model.model_name_or_path, "export")
    check_request(request, folder)
    dtype = dtype_of(request, folder, settings.model)
    with staged(request.output(folder)) as staging:
        source = _write(settings, folder, request, dtype, staging, progress, data)
        tokenizer = AutoTokenizer.from_pretrained(str(staging), trust_remote_code=settings.model.trust_remote_code)
        text = check_text(source.baked, tokenizer, allowed=request.allow_other_tokens)
        again = _ask_again(request, staging, source, dtype, settings, tokenizer, progress)
        server = ask_server(request, again.exported, source.baked, progress)
        result = ExportResult(
            **_origin(settings, folder, source),
            to=request.to,
            output_dir=request.output(folder),
            strength=request.strength,
            dtype=dtype,
            text=text,
            answers=again.answers,
            asked=again.asked,
            server=server if isinstance(server, ServerCheck) else None,
            not_run="; ".join(reason for reason in (again.not_run, server) if isinstance(reason, str)) or None,
        )
        if source.written.runnable != staging:
            shutil.rmtree(source.written.runnable)
        (staging / "README.md").write_text(export_card(result, source.written.rank), encoding="utf-8")
        write_json(staging / RESULT_FILE, export_figures(result))
    return result


def _write(
    settings: BakeSettings,
    folder: Path,
    request: ExportRequest,
    dtype: str,
    staging: Path,
    progress: Progress,
    data: BakeData | None,
) -> _Source:
    """Ask the baked model, then write the form; what was loaded is let go of, so that one model is held at a time."""
    plain = replace(settings, model=replace(settings.model, torch_dtype="float32", load_in_4bit=False))
    evaluator, rows = open_to_prove(plain, folder, progress, data)
    if not rows.measured:
        raise DataError("export: there are no questions to ask; give heldout_file or eval_dataset")
    model = cast(PeftModel, evaluator.engine.model)
    with progress.stage("gap", "asking the baked model", len(rows.measured), "answers") as on_progress:
        baked = ask_baked(at_full_precision(evaluator, request.strength, on_progress), rows.measured)
    with progress.clock("saving"):
        written = write_form(request, model, evaluator.engine.tokenizer, _base(settings), dtype, staging)
    return _Source(baked, rows.measured_on, written)


@dataclass(frozen=True)
class _AskedAgain:
    """What the export says without a server, what was asked in words, what was not, and what a server has to know."""

    answers: AnswerCheck
    asked: str
    not_run: str | None
    exported: Exported


def _ask_again(
    request: ExportRequest,
    staging: Path,
    source: _Source,
    dtype: str,
    settings: BakeSettings,
    tokenizer: PreTrainedTokenizerBase,
    progress: Progress,
) -> _AskedAgain:
    """Ask what was written, from its folder alone; the model is let go of at the end."""
    with progress.clock("load"):
        model, asked, not_run = load_form(
            request, staging, source.written, dtype, settings.model, tokenizer, source.baked.longest
        )
    with progress.stage("proof", "asking the export", len(source.baked.answers), "answers") as on_progress:
        exact = dtype == "float32"
        answers = check_answers(model, tokenizer, source.baked, exact=exact, on_progress=on_progress)
    bases = _base(settings), base_dtype(settings.model)
    return _AskedAgain(answers, asked, not_run, Exported(staging, *bases, dtype, source.written.rank, model.stops))


def _origin(settings: BakeSettings, folder: Path, source: _Source) -> dict[str, Any]:
    """The fields of the result that tell what was exported, and how its questions are sent."""
    return {
        "adapter": folder,
        "adapter_sha256": checksum(folder / "adapter_model.safetensors"),
        "base_model": _base(settings),
        "measured_on": source.measured_on,
        "weights": source.written.weights,
        "template_variables": dict(source.baked.variables),
        "writes_date": source.baked.builder.renderer.dated,
    }


def _base(settings: BakeSettings) -> str:
    """The base's hub id, or its folder as an absolute path."""
    name = resolve_model(settings.model.model_name_or_path)
    return os.path.abspath(name) if os.path.isdir(name) else name
