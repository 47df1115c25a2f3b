"""The benchmarks still run: what they measure is in benchmarks/results, never here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SMALL = ["--shape", "tiny", "--vocabulary", "4096", "--prefix", "40", "--rows", "4", "--prompt", "8", "--answer", "12",
         "--batch", "2", "--epochs", "1", "--device", "cpu"]  # fmt: skip


def run(script, *arguments):
    command = [sys.executable, "-W", "ignore", str(BENCHMARKS / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("side", ["ours_sampled", "ours_proved", "naive"])
def test_one_side_says_its_seconds_and_its_memory(side):
    done = run("side.py", side, *SMALL)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["side"] == side
    assert report["seconds"] > 0
    assert report["peak"] > 0
    assert ("training" in report["stages"]) == side.startswith("ours")


def test_startup_times_every_command_that_loads_no_model():
    done = run("startup.py", "--runs", "1")
    assert done.returncode == 0, done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines()] == ["--help", "--version", "schema", "--config"]


def test_the_page_is_measured_as_it_is_used(saved_bake, tmp_path):
    done = run("taste.py", str(saved_bake), "--questions", "2", "--output", str(tmp_path / "taste.json"))
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "taste.json").read_text())
    assert 0 < report["first_token_seconds"] <= report["first_token_seconds_slowest"]
    assert report["tokens_per_second_drawn"] > 0
    assert report["peak_bytes"] > 2**26


def test_the_table_of_servers_has_what_can_be_asked_and_names_what_is_missing(saved_bake, tmp_path):
    words = ["--only", "transformers", "vllm_lora", "--output", str(tmp_path / "serving.json")]
    done = run("serving.py", "--run", str(saved_bake), *words)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "serving.json").read_text())["rows"]
    assert [row["dtype"] for row in rows["transformers"]] == ["float32", "bfloat16", "float16"]
    assert rows["transformers"][0]["equal_by_ids"] == rows["transformers"][0]["questions"]
    assert rows["transformers"][0]["largest_difference"] < 1e-3
    assert rows["vllm_lora"] == [{"not_run": "--vllm was not given"}]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_its_table_says_so():
    done = run("gpu.py")
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "benchmarks/gpu.py: there is no CUDA device; on the CPU run benchmarks/bake_against_naive.py"
    )
