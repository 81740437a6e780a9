# Every target makes the environment first if it is missing. `make` alone lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO ?= demo

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Nothing here may phone home or draw a bar into a log.
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true

.DEFAULT_GOAL := help
.PHONY: help env demo test fuzz peers lint format wheel clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

env: $(STAMP) ## make .venv with the tested set of libraries (PYTHON=python3.12 picks another Python)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "medcnn needs Python 3.11 or newer, found $$($(PYTHON) --version 2>&1); name one: make env PYTHON=python3.12" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "no virtual environment could be made; on Debian or Ubuntu: apt-get install python3-venv" >&2; exit 2; }
	@echo "installing the tested set into $(VENV) (two to three minutes the first time)"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(STAMP) ## a phantom chest cohort as DICOM, from fit to report and findings, into demo/
	$(BIN)/medcnn demo --folder $(DEMO)

# One thread a process: as many test workers as cores share them, and sums are the same on every machine.
test: export OMP_NUM_THREADS ?= 1
test: $(STAMP) peers ## run every test that can run here
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

# Inputs that break a reader are kept in pytest's temporary folder, which the failure names.
fuzz: $(STAMP) ## fuzz the readers for an hour (MEDCNN_FUZZ_SECONDS=600 for ten minutes)
	MEDCNN_FUZZ_SECONDS=$${MEDCNN_FUZZ_SECONDS:-3600} $(BIN)/python -m pytest tests/fuzz

# Not fatal: where it cannot be had, the tests that need it skip and say so.
APT := DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=0 -o Acquire::http::Timeout=10
PEERS := dicom3tools chromium
peers: ## Debian packages that tests need (dicom3tools, chromium), where this is root on Debian and one is missing
	@{ command -v dciodvfy && command -v chromium; } >/dev/null 2>&1 || test "$$(id -u)" != 0 || ! command -v apt-get >/dev/null 2>&1 || \
	  { $(APT) install --yes $(PEERS) || { $(APT) update && $(APT) install --yes $(PEERS); }; } >/dev/null 2>&1 || \
	  echo "$(PEERS) could not be installed: the tests that need dciodvfy or a browser skip"

lint: $(STAMP) ## style, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(STAMP) ## let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(STAMP) ## build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

clean: ## remove the environment, caches and build output; runs, models and demo/ stay
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find medcnn tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
