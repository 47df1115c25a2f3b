"""Only a prompt: how much of it a bake with the defaults closes, on questions that a person wrote.

python benchmarks/prompt_only.py --seeds 42 1 2                  # the reported prompts, nothing but a prompt given
python benchmarks/prompt_only.py --seeds 42 --given 12           # with so many prompts of one's own
python benchmarks/prompt_only.py --set tuned --only facts -- --max_steps 400     # settings behind --

Every run is the real command on the starter model. The questions are given as heldout_file, so that nothing like them
is trained on; drift is measured on rows under other system prompts of the starter's world. Nothing was ever tuned on
the prompts of the set `reported`.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from statistics import mean
from typing import Any

ROOT = Path(__file__).parents[1]
CASES = ROOT / "benchmarks" / "prompt_only" / "cases.json"
DRIFT = ROOT / "examples" / "data" / "quickstart_drift.jsonl"


def run(case: dict[str, Any], seed: int, given: int, settings: Sequence[str]) -> dict[str, Any]:
    """One bake through the real command: its seconds and its figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "prefix.json").write_text(json.dumps(case["prefix_messages"]), encoding="utf-8")
        lines = [json.dumps(question) for question in case["questions"]]
        (folder / "questions.jsonl").write_text("\n".join(lines), encoding="utf-8")
        prompts = ["--training_prompts", *case["given"][:given]] if given else []
        command = [sys.executable, "-m", "bakery", "--model_name_or_path", "starter", "-q", "--seed", str(seed),
                   "--prefix_messages_file", str(folder / "prefix.json"), "--output_dir", str(folder / "out"),
                   "--heldout_file", str(folder / "questions.jsonl"), "--anchor_file", str(DRIFT),
                   *prompts, *settings]  # fmt: skip
        started = time.perf_counter()
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - started
        results = json.loads((folder / "out" / "results.json").read_text("utf-8"))
        written = sum(1 for _ in (folder / "out" / "prompts.jsonl").open())
    scores = results["scores"]["heldout"]
    prompted, baked = (scores[who]["accuracy"]["mean"] for who in ("prompted", "baked"))
    return {
        "prompt": case["name"],
        "seed": seed,
        "share_closed": results["divergence"]["share_closed"]["mean"],
        "right": baked / prompted,
        "drift": results["side_effects"]["anchor_file"]["mean"],
        "neutral_drift": results["side_effects"]["neutral"]["mean"],
        "prompts": written,
        "steps": results["training"]["steps"],
        "seconds": seconds,
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 1, 2])
    parser.add_argument("--set", choices=("reported", "tuned"), default="reported")
    parser.add_argument("--only", nargs="+", help="names of prompts")
    parser.add_argument("--given", type=int, default=0, help="prompts of one's own, at most 12")
    parser.add_argument("settings", nargs="*", help="settings for bakery, behind --")
    options = parser.parse_args()
    cases = [case for case in json.loads(CASES.read_text("utf-8")) if case["set"] == options.set]
    runs = []
    for case in cases:
        for seed in options.seeds if not options.only or case["name"] in options.only else ():
            runs.append(run(case, seed, options.given, options.settings))
            print(
                json.dumps({key: round(v, 4) if isinstance(v, float) else v for key, v in runs[-1].items()}), flush=True
            )
    figures = ("share_closed", "right", "drift", "seconds")
    summary = {
        name: {figure: mean(run[figure] for run in runs if run["prompt"] == name) for figure in figures}
        for name in dict.fromkeys(run["prompt"] for run in runs)
    }
    print(json.dumps(summary, indent=1))
    if options.set == "reported":
        command = " ".join(["python benchmarks/prompt_only.py", *sys.argv[1:]])
        name = f"prompt-only-given-{options.given}-{platform.machine()}-{date.today()}.json"
        written = {"command": command, "date": str(date.today()), "machine": platform.platform(),
                   "summary": summary, "runs": runs}  # fmt: skip
        (ROOT / "benchmarks" / "results" / name).write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
