# Short targets: each runs a line or two that you can also type. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help setup smoke methods mini paper plan push pull test trials hostile cluster gpu lint format docs lock image sif clean distclean

PYTHON ?= $(shell for name in python3.11 python3.12 python3 python3.13; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
BIN := .venv/bin
READY := .venv/ready
PARAMS ?= params/smoke.yaml

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*##/\1/p' $(MAKEFILE_LIST) | awk '{name = $$1; $$1 = ""; printf "make %-10s%s\n", name, $$0}'

setup: $(READY)  ## create .venv with the locked dependencies (once)

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "found no Python 3.11 or later; name one with make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@test -e .git || printf '[core]\n    no_scm = true\n' >.dvc/config.local  # for DVC without git, as in a downloaded ZIP
	@touch $@

smoke: $(READY)  ## all six tables, small, on two CPU cores in minutes
	@$(BIN)/python -m dropnas run params/smoke.yaml

methods: $(READY)  ## every search method, small, on two CPU cores in minutes
	@$(BIN)/python -m dropnas run params/smoke-methods.yaml

mini: $(READY)  ## real CIFAR-10 on one GPU in an evening
	@$(BIN)/python -m dropnas run params/mini.yaml

paper: $(READY)  ## the paper's protocol
	@$(BIN)/python -m dropnas run params/paper.yaml

plan: $(READY)  ## show what the parameter file PARAMS (params/smoke.yaml) would run
	@$(BIN)/python -m dropnas plan $(PARAMS)

push: $(READY)  ## send finished runs to the DVC remote, also while the workflow is running
	@$(BIN)/python -m dropnas push

pull: $(READY)  ## fetch finished runs from the DVC remote; weights follow when a stage needs them
	@$(BIN)/python -m dropnas pull

test: $(READY)  ## the tests
	@$(BIN)/python -m pytest -n auto --dist worksteal --durations 20

trials: $(READY)  ## kills, damaged checkpoints, full disks, stop signals; counts failures (SAMPLE=1: a part, as in CI)
	@$(BIN)/python -m pytest -m trial -n auto --dist worksteal tests/trials tests/workflow
	@$(if $(SAMPLE),,for trial in kills stops damage full_disk; do $(BIN)/python -m tests.trials.$$trial || exit 1; done)

hostile: $(READY)  ## damaged stores, specs, plans, parameter files and sources (CASES=2000 of them); counts failures
	@$(BIN)/python -m tests.hostile $(if $(CASES),--cases $(CASES)) $(if $(SEED),--seed $(SEED))

cluster: $(READY)  ## trials on a SLURM cluster that it starts on this host (Debian, root)
	@tests/cluster/up.sh --install && $(BIN)/python -m pytest -s -m cluster tests/cluster

# Uses the first Python that can import torch. OUT names the folder for the results.
gpu:  ## tests and measurements on a GPU in ten minutes (MINUTES=10), with .venv or any Python that has torch
	@for python in $(BIN)/python python3.12 python3 python3.11 python3.13 $(PYTHON); do \
		$$python -c 'import sys, torch; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
		exec $$python -m benchmarks gpu $(if $(MINUTES),--minutes $(MINUTES)) $(if $(OUT),--out $(OUT)); done; \
	echo "no Python 3.11 or later can import torch; install torch, or name a Python with make gpu PYTHON=..." >&2; exit 1

lint: $(READY)  ## style and types
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/snakefmt --check Snakefile workflow && $(BIN)/mypy

format: $(READY)  ## format the sources
	$(BIN)/ruff check --fix . && $(BIN)/ruff format . && $(BIN)/snakefmt Snakefile workflow

SCHEMA = workflow/schemas/parameters.schema.json
docs: $(READY)  ## renew the schema of parameter files and docs/parameters.md
	@$(BIN)/python -m dropnas schema > $(SCHEMA).new && mv $(SCHEMA).new $(SCHEMA)
	@$(BIN)/python -m docs.parameter_reference

# Torch for another CUDA needs a separate lock: LOCK_FILE=requirements-cu126.lock TORCH_INDEX=... (docs/cluster.md). uv
# takes from that index the packages that it has, and all others from the usual index, in the versions of
# requirements.lock.
LOCK_FILE ?= requirements.lock
lock: $(READY)  ## renew requirements.lock from pyproject.toml (needs uv)
	@test -e "$(LOCK_FILE)" || cp requirements.lock "$(LOCK_FILE)"
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url \
		$(if $(TORCH_INDEX),--index "$(TORCH_INDEX)") --custom-compile-command "make lock" \
		--all-extras pyproject.toml --output-file "$(LOCK_FILE)"

image:  ## build the container image: the locked dependencies, no project code
	@LOCK_FILE="$(LOCK_FILE)" TORCH_INDEX="$(TORCH_INDEX)" containers/build.sh image

sif:  ## convert the image to containers/dropnas.sif, for Apptainer
	@containers/build.sh sif

clean:  ## remove caches and logs; runs, data and results stay
	rm -rf logs .snakemake .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info

distclean: clean  ## also remove the environment
	rm -rf .venv
