# `make demo` and `make test` do all the set-up on a fresh machine: Python 3.11 or newer and a package index are enough.
# Another Python: `make quick PYTHON=python3.13 VENV=.venv-3.13`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
# One thread a test process: torch slows badly when the threads of several processes fight for the cores.
WORKERS ?= 2
# Whole runs of the command, every chat template, bakes that are proved, the starter: they take most of the time.
SLOW := tests/end_to_end tests/faults tests/templates tests/test_starter.py tests/test_benchmarks.py tests/test_bad_inputs.py tests/evaluation

export HF_HUB_OFFLINE := 1
export TOKENIZERS_PARALLELISM := false

.PHONY: help setup demo test quick test-faults check bench starter format clean

help:
	@sed -n 's/^## //p' Makefile

## make setup     .venv with everything development needs
setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@echo "setting up $(VENV): a minute or two"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,tensorboard]'
	@touch $@

## make demo      bake the quickstart on the shipped starter model and show the proof
demo: $(STAMP)
	@$(BIN)/bakery --config examples/quickstart.yaml

## make test      all tests
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS)

## make quick     the tests without the slow ones
quick: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) $(SLOW:%=--ignore=%)

## make test-faults  hostile inputs in their thousands (`make test` runs a sample): about a quarter of an hour
test-faults: $(STAMP)
	OMP_NUM_THREADS=1 BAKERY_FUZZ_CASES=1250 $(BIN)/python -m pytest -n $(WORKERS) tests/faults

## make check     format, lint, types and security
check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive src
	@$(BIN)/python .ci/audit.py

## make format    put everything into the house style
format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

## make bench     measure against a plain bake loop and TRL (about an hour); writes benchmarks/results
bench: $(STAMP)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/bake_against_naive.py --trl $(BIN)/python
	$(BIN)/python benchmarks/student_step.py
	$(BIN)/python benchmarks/student_step.py --dtype bfloat16

## make starter   train the starter model again from nothing (about an hour on two cores)
starter: $(STAMP)
	$(BIN)/python starter/train.py

## make clean     remove what the other targets made, the environment included
clean:
	rm -rf $(VENV) outputs .mypy_cache .ruff_cache
