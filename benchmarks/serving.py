"""Every place where an adapter lands, for real: vLLM, llama.cpp, MLX and lm-eval asked the questions of a bake.

make test-serving                                      # sets everything up first; an hour or more on two cores
python benchmarks/serving.py --run outputs/x --vllm PYTHON --llama_cpp DIR --mlx PYTHON --lm_eval PYTHON --only vllm

Each row is one target at one strength in one number format: how many greedy answers are those of transformers in
float32, by token ids and as text, and by how much the log-probabilities of their tokens differ. What is not given is
left out and named. Exit code 1: a row in float32 has an answer of its own, by token ids or as text, or differs by more
than 1e-3.
"""

import argparse
import importlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, cast

from peft import PeftModel

from bakery.command_line import Command
from bakery.engine.distill.conditions import BAKED, BASE, PROMPTED
from bakery.engine.model.structure import stop_ids
from bakery.errors import BakeryError
from bakery.evaluate import open_to_prove
from bakery.evaluation.evaluator import Evaluator
from bakery.export import run_export
from bakery.exporting import gguf_converter
from bakery.exporting.asking import AnswerCheck, Baked, TextCheck, ask_baked, at_full_precision, compare_answers
from bakery.exporting.mlx_model import MlxModel
from bakery.exporting.pre_tokenizers import pre_tokenizer_name
from bakery.exporting.request import ExportRequest
from bakery.exporting.result import ExportResult
from bakery.progress import Progress
from bakery.rows.conversations import Conversation
from bakery.serving.adapters import ServedAdapter, served_adapters
from bakery.serving.checks import check_served
from bakery.serving.child import free_port, running, wait_until_healthy
from bakery.serving.commands import Serving, find_llama_server, llama_command, vllm_command
from bakery.serving.served_model import LlamaModel, VllmModel
from bakery.settings.build import BakeSettings, build
from bakery.settings.paths import resolve_model
from bakery.verbs.checked import check_beside

RESULTS = Path(__file__).parent / "results"
STRENGTHS = (1.0, 0.5, 0.0)
LARGEST = 1e-3
"""Of a difference in float32."""
HOST = "127.0.0.1"
TASK = """\
task: bakery_heldout
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: [], do_sample: false, max_gen_toks: {longest}}}
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
"""


@dataclass(frozen=True)
class Setup:
    """What all rows share: the run, where the engines are, and where files go."""

    run: Path
    settings: BakeSettings
    args: argparse.Namespace
    folder: Path
    evaluator: Evaluator
    rows: tuple[Conversation, ...]

    @property
    def stops(self) -> frozenset[int]:
        """The tokens that end a turn."""
        return stop_ids(cast(PeftModel, self.evaluator.engine.model), self.evaluator.engine.tokenizer)

    @property
    def base(self) -> str:
        """A hub id or an absolute folder."""
        name = resolve_model(self.settings.model.model_name_or_path)
        return os.path.abspath(name) if os.path.isdir(name) else name

    def text_of(self, ids: Sequence[int]) -> str:
        """An answer as a client sees it."""
        return str(self.evaluator.engine.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()

    def known(self, condition: Any = BAKED, strength: float = 1.0) -> Baked:
        """What transformers says in float32."""
        return ask_baked(self.evaluator.at(strength), self.rows, condition)

    def export(self, to: str, strength: float, dtype: str, **more: Any) -> ExportResult:
        """One of Bakery's exports, asked in every place that it knows."""
        folder = self.folder / f"{to}-{strength:g}-{dtype}"
        request = ExportRequest(to, strength, dtype, folder, overwrite=True, allow_other_tokens=True, **more)
        return run_export(self.settings, self.run, request, progress=Progress())


def row(
    target: str, strength: float | None, dtype: str, answers: AnswerCheck, text: TextCheck | None
) -> dict[str, Any]:
    """One line of the table."""
    return {
        "target": target, "strength": strength, "dtype": dtype, "questions": answers.questions,
        "equal_by_ids": answers.equal_by_ids, "equal_as_text": answers.equal_as_text,
        "same_tokens_as_text": text and text.same_tokens, "largest_difference": answers.largest_difference,
    }  # fmt: skip


def in_transformers(setup: Setup) -> Iterator[dict[str, Any]]:
    """A merged model in three number formats."""
    for dtype in ("float32", "bfloat16", "float16"):
        result = setup.export("merged", 1.0, dtype)
        yield row("transformers, merged", 1.0, dtype, cast(AnswerCheck, result.answers), result.text)


def in_vllm_with_lora(setup: Setup) -> Iterator[dict[str, Any]]:
    """One server with the run, its adapter at all strengths, and the base with and without the prompt."""
    exported = [setup.export("adapter", strength, "float32").output_dir for strength in STRENGTHS]
    adapters = served_adapters([str(folder) for folder in (setup.run, *exported)])
    serving = Serving(setup.base, "base", adapters, "float32", HOST, free_port(HOST, None, 0), more=_room(setup))
    asked: list[tuple[str, ServedAdapter | None, Baked, float | None]] = [
        ("vLLM, base", None, setup.known(BASE), None),
        ("vLLM, base with the prompt", None, setup.known(PROMPTED), None),
        ("vLLM, LoRA as it was trained", adapters[0], setup.known(), 1.0),
    ]
    for adapter, strength in zip(adapters[1:], STRENGTHS, strict=True):
        asked.append(("vLLM, LoRA exported", adapter, setup.known(BAKED, strength), strength))
    log = setup.folder / "vllm.log"
    with running(vllm_command(setup.args.vllm, serving), log) as process:
        wait_until_healthy(process, serving.url, setup.args.timeout, log)
        for target, one, baked, strength in asked:
            model = VllmModel(serving.url, one.name if one else "base", setup.stops, baked.longest, baked.variables)
            text, answers = check_served(model, baked, "vLLM", exact=False, allowed=True)
            yield row(target, strength, "float32", answers, text)


def in_vllm_merged(setup: Setup) -> Iterator[dict[str, Any]]:
    """A server for each merged model."""
    for strength in STRENGTHS:
        result = setup.export("merged", strength, "float32", python=setup.args.vllm, timeout=setup.args.timeout)
        yield _server_row("vLLM, merged", result)


def in_llama_cpp(setup: Setup) -> Iterator[dict[str, Any]]:
    """Adapters and whole models, with the pre-tokenizer that the starter's tokenizer has."""
    more = {"llama_cpp": Path(setup.args.llama_cpp), "timeout": setup.args.timeout}
    for form, target in (("gguf-adapter", "llama.cpp, LoRA"), ("gguf", "llama.cpp, merged")):
        for strength in STRENGTHS:
            yield _server_row(target, setup.export(form, strength, "float32", **more))
    yield _server_row("llama.cpp, merged", setup.export("gguf", 1.0, "bfloat16", **more))
    yield _quantised(setup)


def _quantised(setup: Setup) -> dict[str, Any]:
    """The merged model in 8 bits, which is a format of llama.cpp's converter and none of `bakery export`."""
    llama_cpp, merged = Path(setup.args.llama_cpp), setup.export("merged", 1.0, "float32").output_dir
    name = pre_tokenizer_name(merged) or ""
    file = setup.folder / "q8_0.gguf"
    words = [sys.executable, str(gguf_converter.__file__), str(llama_cpp / "convert_hf_to_gguf.py"), name, str(merged)]
    subprocess.run([*words, "--outfile", str(file), "--outtype", "q8_0"], check=True, capture_output=True)
    serving = Serving(str(file), "baked", host=HOST, port=free_port(HOST, None, 0))
    program, log, baked = find_llama_server(llama_cpp), setup.folder / "q8_0.log", setup.known()
    with running(llama_command(cast(Path, program), serving), log) as process:
        wait_until_healthy(process, serving.url, setup.args.timeout, log)
        model = LlamaModel(serving.url, "baked", setup.stops, baked.longest, baked.variables)
        text, answers = check_served(model, baked, "llama.cpp", exact=False, allowed=True)
    return row("llama.cpp, merged", 1.0, "q8_0", answers, text)


def in_mlx(setup: Setup) -> Iterator[dict[str, Any]]:
    """Adapters by `bakery export`, and merged models loaded by mlx_lm; its environment's packages come last."""
    sys.path.append(_packages_of(setup.args.mlx))
    for strength in STRENGTHS:
        result = setup.export("mlx", strength, "float32")
        if result.not_run:
            raise BakeryError(result.not_run)
        yield row("MLX, adapter", strength, "float32", cast(AnswerCheck, result.answers), result.text)
    core = importlib.import_module("mlx.core")
    for dtype in ("float32", "bfloat16"):
        written, baked = setup.export("merged", 1.0, dtype), setup.known()
        network = importlib.import_module("mlx_lm").load(str(written.output_dir))[0]
        model = MlxModel(network, core, setup.stops, baked.longest)
        answers = compare_answers(model, baked, lambda _, ids: setup.text_of(ids), exact=False)
        yield row("MLX, merged", 1.0, dtype, answers, written.text)


def in_lm_eval(setup: Setup) -> Iterator[dict[str, Any]]:
    """lm-eval's own command with a task of the questions; right is what the baked model says."""
    baked = setup.known()
    tasks = setup.folder / "tasks"
    tasks.mkdir(exist_ok=True)
    lines = [
        json.dumps({"question": answer.messages[-1]["content"], "answer": answer.reply.text}) + "\n"
        for answer in baked.answers
    ]
    (tasks / "heldout.jsonl").write_text("".join(lines), encoding="utf-8")
    text = TASK.format(data=tasks / "heldout.jsonl", longest=baked.longest)
    (tasks / "bakery_heldout.yaml").write_text(text, encoding="utf-8")
    for target, peft in (("lm-eval, with the adapter", f",peft={setup.run}"), ("lm-eval, without it", "")):
        output = setup.folder / f"lm-eval{len(peft)}"
        shutil.rmtree(output, ignore_errors=True)
        model = ["--model", "hf", "--model_args", f"pretrained={setup.base}{peft},dtype=float32", "--device", "cpu"]
        task = ["--tasks", "bakery_heldout", "--include_path", str(tasks), "--apply_chat_template"]
        words = [setup.args.lm_eval, "-m", "lm_eval", "run", *model, *task, "--output_path", str(output)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BakeryError(f"lm-eval ended with {done.returncode}: {done.stderr.strip()[-600:]}")
        (file,) = output.rglob("results_*.json")
        score = json.loads(file.read_text(encoding="utf-8"))["results"]["bakery_heldout"]["exact_match,none"]
        yield {"target": target, "dtype": "float32", "questions": len(lines), "exact_match": score}


def _server_row(target: str, result: ExportResult) -> dict[str, Any]:
    """What a server said to an export."""
    if result.server is None:
        raise BakeryError(result.not_run or "no server was asked")
    return row(target, result.strength, result.dtype, result.server.answers, result.server.text)


def _room(setup: Setup) -> tuple[str, ...]:
    """How much of the machine's memory vLLM may take."""
    return ("--gpu-memory-utilization", str(setup.args.vllm_memory))


def _packages_of(python: str) -> str:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


TARGETS: dict[str, tuple[str | None, Callable[[Setup], Iterator[dict[str, Any]]]]] = {
    "transformers": (None, in_transformers),
    "mlx": ("mlx", in_mlx),
    "llama_cpp": ("llama_cpp", in_llama_cpp),
    "lm_eval": ("lm_eval", in_lm_eval),
    "vllm_lora": ("vllm", in_vllm_with_lora),
    "vllm_merged": ("vllm", in_vllm_merged),
}
"""By name, the option that has to be given, and the rows."""


def is_wrong(one: dict[str, Any]) -> bool:
    """Whether a target failed, or a row in float32 is not what was wanted."""
    if "error" in one or one.get("dtype") != "float32" or "exact_match" in one:
        return "error" in one
    equal = min(one["equal_by_ids"], one["equal_as_text"])
    return bool(equal < one["questions"] or one["largest_difference"] > LARGEST)


def opened(args: argparse.Namespace, folder: Path) -> Setup:
    """The run, loaded once in float32."""
    settings = build(check_beside(Command(verb="export"), str(args.run)))
    settings = replace(settings, model=replace(settings.model, torch_dtype="float32"))
    evaluator, rows = open_to_prove(settings, args.run, Progress())
    return Setup(args.run, settings, args, folder, at_full_precision(evaluator, 1.0), tuple(rows.measured))


def main() -> int:
    """Ask every target that was given, print the rows, and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="the folder of a bake")
    for option in ("vllm", "mlx", "lm_eval"):
        parser.add_argument(f"--{option}", help="the Python of an environment that has it")
    parser.add_argument("--llama_cpp", help="the folder of llama.cpp's source, with its server built in build/")
    parser.add_argument("--only", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds until a server has to be ready")
    parser.add_argument("--vllm_memory", type=float, default=0.2, help="share of the memory for vLLM on a CPU")
    parser.add_argument("--output", type=Path, default=None)
    args = parser.parse_args()
    output = args.output or RESULTS / f"serving-{platform.machine()}-{date.today()}.json"
    rows: dict[str, list[dict[str, Any]]] = {}
    if output.is_file():  # the rows of targets that are not asked now stay
        rows = json.loads(output.read_text(encoding="utf-8"))["rows"]
    with tempfile.TemporaryDirectory(prefix="bakery-") as folder:
        setup = opened(args, Path(folder))
        for name in args.only:
            rows[name] = list(asked(name, setup))
            write(output, setup, rows)
    print(f"written to {output}")
    return int(any(is_wrong(one) for name in args.only for one in rows[name]))


def asked(name: str, setup: Setup) -> Iterator[dict[str, Any]]:
    """The rows of a target, each with its seconds; where it cannot be asked, one that says why."""
    option, ask = TARGETS[name]
    if option and getattr(setup.args, option) is None:
        yield {"not_run": f"--{option} was not given"}
        return
    started = time.perf_counter()
    try:
        for one in ask(setup):
            print(json.dumps(one), flush=True)
            yield {**one, "seconds": round(time.perf_counter() - started, 1)}
            started = time.perf_counter()
    except (BakeryError, subprocess.CalledProcessError) as error:
        print(f"{name}: {error}", file=sys.stderr, flush=True)
        yield {"error": str(error)}


def write(output: Path, setup: Setup, rows: dict[str, list[dict[str, Any]]]) -> None:
    """The file of results, whole, with the targets that were asked so far."""
    written = {
        "command": "make test-serving", "date": str(date.today()), "machine": platform.machine(),
        "cores": os.cpu_count(), "base": Path(setup.base).name, "rows": rows,
    }  # fmt: skip
    output.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
