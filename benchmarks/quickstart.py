"""The quickstart's figures, seed by seed, through the real command; written to benchmarks/results.

python benchmarks/quickstart.py --seeds 42 1 2
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(seed: int) -> dict[str, float]:
    """One bake: its seconds and its scores."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["--config", "examples/quickstart.yaml", "--output_dir", folder, "--seed", str(seed), "-q"]
        subprocess.run([sys.executable, "-m", "bakery", *command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        results = json.loads((Path(folder) / "results.json").read_text("utf-8"))
    scores = results["scores"]["heldout"]
    return {
        "seed": seed,
        **{who: scores[who]["accuracy"]["mean"] for who in ("base", "prompted", "baked")},
        "divergence_before": results["divergence"]["before"]["mean"],
        "divergence_after": results["divergence"]["after"]["mean"],
        "share_closed": results["divergence"]["share_closed"]["mean"],
        "drift": results["side_effects"]["anchor_file"]["mean"],
        "bake_seconds": results["seconds"]["bake"],
        "proof_seconds": results["seconds"]["proof"],
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 1, 2])
    seeds = parser.parse_args().seeds
    runs = []
    for seed in seeds:
        runs.append(run(seed))
        print(json.dumps(runs[-1]), flush=True)
    command = f"python benchmarks/quickstart.py --seeds {' '.join(map(str, seeds))}"
    name = f"quickstart-{platform.machine()}-{date.today()}.json"
    written = {"command": command, "date": str(date.today()), "machine": platform.platform(), "runs": runs}
    (ROOT / "benchmarks" / "results" / name).write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
