"""Adapters served by vLLM or llama.cpp: started, asked the held-out questions, and left running until Ctrl-C."""

import gc
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from peft import PeftModel

from bakery.engine.distill.conditions import PROMPTED
from bakery.engine.model.structure import stop_ids
from bakery.errors import DataError
from bakery.evaluate import open_to_prove
from bakery.exporting.asking import Baked, ask_baked, at_full_precision
from bakery.progress import Progress
from bakery.report.results import write_json
from bakery.rows.bake_data import BakeData
from bakery.serving.bench import AT_ONCE, ROUNDS, Bench, Measured, bench_figures, bench_table, measure
from bakery.serving.checks import check_served
from bakery.serving.child import running, stay, wait_until_healthy
from bakery.serving.exported import NAMES
from bakery.serving.planning import Plan, ServeRequest, plan_server
from bakery.serving.served_model import LlamaModel, VllmModel
from bakery.serving.snippets import curl_snippet, openai_snippet
from bakery.settings.build import BakeSettings

FOLDER = "serve"
"""In the first run's folder: what the server says (server.log), and what was measured (bench.json)."""


@dataclass(frozen=True)
class _Known:
    """What the model of a run says in transformers, baked and, where that is needed, prompted."""

    baked: Baked
    prompted: Baked | None
    stops: frozenset[int]


def run_serve(
    settings: Sequence[BakeSettings],
    folders: Sequence[str],
    request: ServeRequest,
    *,
    progress: Progress | None = None,
    data: Sequence[BakeData] | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Start a server with these runs, say how many answers are equal to those of transformers, and stay until Ctrl-C.

    With `request.bench` it is measured what the adapters save, told and written, and the server is ended.

    Args:
        settings: those of each run.
        folders: of the runs, whose base is the same.
        request: how they are to be served.
        progress: where stages are shown; none: on standard error.
        data: the rows of each run, where they are read already.
        say: takes the result, line by line.

    Raises:
        ConfigError: the runs cannot be served together or so, or the engine is not there.
        ModelError: the server ended by itself, or refuses a request.
        ResourceError: it was not ready in time.
        BakeryError: whatever else a bake refuses.
    """
    progress = progress or Progress()
    plan = plan_server(settings, folders, request, must_run=True)
    rows: Sequence[BakeData | None] = data or [None] * len(folders)
    known = [
        _ask_transformers(own, adapter.folder, strength, own_rows, request.bench, progress)
        for own, adapter, strength, own_rows in zip(settings, plan.serving.adapters, plan.strengths, rows, strict=True)
    ]
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # the server takes what memory is left
    folder = plan.serving.adapters[0].folder / FOLDER
    log, url, name = folder / "server.log", plan.serving.url, NAMES[plan.engine]
    with running(plan.command, log) as process:
        with progress.stage("load", f"starting {name}", 1, "servers") as on_progress:
            wait_until_healthy(process, url, request.timeout, log)
            on_progress(1)
        for number in range(len(known)):
            _tell_answers(plan, number, known[number], progress, say)
        if request.bench:
            bench = _measure(plan, known, progress)
            write_json(folder / "bench.json", bench_figures(bench))
            say("\n".join(["", *bench_table(bench), f"written to {folder / 'bench.json'}"]))
            return
        model, question = served_model(plan, 0, known[0].baked, known[0].stops), known[0].baked.answers[0]
        asked = model.request(question.messages, question.tools)
        say("\n".join(["", curl_snippet(url, asked), "", openai_snippet(url, asked)]))
        stay(process, log, lambda: say(f"serving at {url}; Ctrl-C ends it"))


def served_model(plan: Plan, number: int | None, baked: Baked, stops: frozenset[int]) -> VllmModel | LlamaModel:
    """The adapter of a number behind the server of a plan; without a number, the base."""
    serving = plan.serving
    if plan.engine == "vllm":
        name = serving.name if number is None else serving.adapters[number].name
        return VllmModel(serving.url, name, stops, baked.longest, baked.variables)
    strengths = tuple(float(at == number) for at in range(len(serving.adapters)))
    return LlamaModel(serving.url, serving.name, stops, baked.longest, baked.variables, strengths)


def _ask_transformers(
    settings: BakeSettings, folder: Path, strength: float, data: BakeData | None, bench: bool, progress: Progress
) -> _Known:
    """What the model says in float32; it is let go of at the end."""
    plain = replace(settings, model=replace(settings.model, torch_dtype="float32", load_in_4bit=False))
    evaluator, rows = open_to_prove(plain, folder, progress, data)
    if not rows.measured:
        raise DataError(f"serve: {folder} has no questions to ask; give heldout_file or eval_dataset")
    stops = stop_ids(cast(PeftModel, evaluator.engine.model), evaluator.engine.tokenizer)
    with progress.stage("gap", "asking the baked model", len(rows.measured), "answers") as on_progress:
        exact = at_full_precision(evaluator, strength, on_progress)
        prompted = ask_baked(exact, rows.measured, PROMPTED) if bench else None
        return _Known(ask_baked(exact, rows.measured), prompted, stops)


def _tell_answers(plan: Plan, number: int, known: _Known, progress: Progress, say: Callable[[str], None]) -> None:
    """Ask an adapter of the server, and say how many answers are those of transformers."""
    model, baked = served_model(plan, number, known.baked, known.stops), known.baked
    adapter, server = plan.serving.adapters[number].name, NAMES[plan.engine]
    with progress.stage("proof", f"asking {server}", len(baked.answers), "answers") as on_progress:
        text, answers = check_served(model, baked, server, exact=False, allowed=True, on_progress=on_progress)
    equal, largest = f"{answers.equal_by_ids} of {answers.questions}", f"{answers.largest_difference:.1e}"
    say(
        f"{adapter}: {equal} answers are equal to transformers' (float32) by token ids, {answers.equal_as_text} as "
        f"text; log-probabilities differ by at most {largest}"
    )
    if text.same_tokens < text.questions:
        others = text.questions - text.same_tokens
        say(f"  warning: sent as text, {others} of {text.questions} questions become other tokens than in the bake")
    if baked.builder.renderer.dated:
        say("  warning: the chat template writes the date, and the server that of the day")


def _measure(plan: Plan, known: Sequence[_Known], progress: Progress) -> Bench:
    """Every adapter against the base with the adapter's prompt, at several numbers of requests at a time."""
    lengths = [len(answer.reply.ids) for one in known for answer in one.baked.answers]
    tokens = max(1, round(sum(lengths) / len(lengths)))
    measured: list[Measured] = []
    total = 3 * (ROUNDS + 1) * len(AT_ONCE) * len(known)
    with progress.stage("proof", "measuring requests", total, "rounds") as on_progress:
        for number, one in enumerate(known):
            assert one.prompted is not None
            name = plan.serving.adapters[number].name
            base, adapter = (served_model(plan, which, one.baked, one.stops) for which in (None, number))
            for at_once in AT_ONCE:
                measured.append(
                    measure(name, base, adapter, one.prompted, one.baked, tokens, at_once, on_progress=on_progress)
                )
    return Bench(
        engine=NAMES[plan.engine],
        base_model=plan.serving.model,
        dtype=plan.serving.dtype if plan.engine == "vllm" else "as in the file",
        machine=f"{platform.machine()}, {os.cpu_count()} cores",
        questions=len(known[0].baked.answers),
        answer_tokens=tokens,
        measured=tuple(measured),
    )
