# Needs Python >= 3.11 (PYTHON=python3.12 to choose one), make and a package index. Every target sets up the virtual
# environment it needs in this folder and does so again when pyproject.toml changes.

PYTHON ?= python3
WORKERS ?= auto
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-slurm test-slurm-large lint format bench check-wheel clean

help:  ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.demo  ## Sweep the digits example twice, then read its results from plain Python
	$(BIN)/python tests/demo/end_to_end.py

test: $(VENV)/.dev  ## Run the fast tests (under a minute on 4 cores)
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow and not slurm"

test-slow: $(VENV)/.dev  ## Run the tests that start many processes or environments, and the properties with many examples
	$(BIN)/python -m pytest -n $(WORKERS) -m "(slow or hypothesis) and not slurm"

test-slurm: $(VENV)/.dev  ## Run the tests on a real Slurm of two nodes, installed and started here (root, Debian); else they are skipped
	@[ "$$(id -u)" != 0 ] || $(BIN)/python tests/slurm/cluster.py install || echo "make: no Slurm; its tests will be skipped"
	$(BIN)/python -m pytest -n $(WORKERS) -m "slurm and not alone"

test-slurm-large: $(VENV)/.dev  ## Run there what takes the whole cluster for itself: thousands of jobs
	$(BIN)/python -m pytest -m "slurm and alone"

lint: $(VENV)/.dev  ## Check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev  ## Format the code and fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev  ## Measure against the peers, installed beside in .venv-peers (a quarter of an hour)
	$(BIN)/python -m tests.benchmarks

check-wheel: $(VENV)/.python  ## Build the wheel and use it from an environment of its own
	rm -rf build .venv-wheel
	$(PYTHON) -m venv .venv-wheel
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir build/wheel .
	.venv-wheel/bin/python -m pip install --quiet --disable-pip-version-check build/wheel/*.whl
	cd build && ../.venv-wheel/bin/python ../tests/packaging/check_wheel.py

clean:  ## Remove environments, builds and tool caches; results under .exca stay
	rm -rf .venv .venv-* build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: $(PYTHON) is $$($(PYTHON) -V 2>&1); Python >= 3.11 is needed. Try: make PYTHON=python3.12 ..." >&2; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo: $(VENV)/.python pyproject.toml
	$(PIP) -e '.[demo]'
	@touch $@

$(VENV)/.dev: $(VENV)/.python pyproject.toml
	$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.demo
