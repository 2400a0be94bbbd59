# Everything this repository does, on a machine that has only Python (3.11 to 3.14), pip and make.
#
#   make run     install what is missing, start a demo exchange, print a first trade to copy and paste
#   make test    install what is missing, check style and types, run every test
#   make help    all targets

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CODE := exchange journal snapshots bench tests

# Exchange clients that we did not write, driven by tests/clients; only released wheels, no client needs a build.
CLIENTS := ccxt python-binance binance-connector binance-sdk-spot schemathesis
CLIENT_STAMPS := $(CLIENTS:%=$(VENV)/clients/%/.installed)
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check

# The suites that compare the engine with its oracle; those of them that run kernels also run as plain Python and with
# every array index checked. The oracle is plain Python in every mode: tests/oracle would only repeat itself.
ENGINE_TESTS := tests/core tests/oracle tests/scenarios
KERNEL_TESTS := tests/core tests/scenarios
# Half of the suite waits for processes and disks, so three workers keep two cores busy. A file stays with one worker, which
# makes its servers and streams once; files come in their order, of which the longest are the first.
WORKERS := --numprocesses 3 --dist loadfile --no-loadscope-reorder

UV_VENV := $(VENV)/lock-tool
COMPILE_LOCK := $(UV_VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 \
                --generate-hashes --no-header --no-config --upgrade

.DEFAULT_GOAL := help
.PHONY: help setup run fmt check clients kernels checked-kernels test nightly bench lock clean

# The tests start hundreds of processes: without its files of bytecode each would compile the exchange's sources again.
unexport PYTHONDONTWRITEBYTECODE

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

setup: $(STAMP) ## create .venv with the locked, hash-checked dependencies

$(STAMP): requirements/dev.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make setup: no command '$(PYTHON)'. Install Python 3.11 to 3.14, or name one: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' || \
	  { echo "make setup: $$($(PYTHON) --version) is not supported. Use Python 3.11 to 3.14: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "make setup: $(PYTHON) cannot create virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP_INSTALL) --only-binary :all: --require-hashes -r requirements/dev.txt
	$(BIN)/python $(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

run: setup ## start a demo exchange on ports 8080 (REST) and 8094 (WebSocket)
	@exec $(BIN)/exchange serve --demo

fmt: setup ## format the code and fix what can be fixed safely
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

check: setup ## lint, formatting and types
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy

clients: setup ## install the exchange clients that tests drive, each in an environment of its own
	@$(MAKE) --no-print-directory --jobs $(words $(CLIENTS)) $(CLIENT_STAMPS)

$(VENV)/clients/%/.installed: requirements/clients/%.txt | $(STAMP)
	@$(BIN)/python -m venv --clear $(@D)
	$(@D)/bin/python $(PIP_INSTALL) --only-binary :all: --require-hashes -r $<
	@touch $@

kernels: setup ## compile the engine, which the first start would do
	@$(BIN)/exchange warm-kernels

checked-kernels: setup
	@NUMBA_BOUNDSCHECK=1 $(BIN)/exchange warm-kernels

# Kernels compile on one core, and workers that find none would each compile them: so once, beside what else comes first.
test: setup ## check, then every test: compiled; engine also interpreted and bounds-checked
	@$(MAKE) --no-print-directory --jobs 4 kernels checked-kernels check $(CLIENT_STAMPS)
	$(BIN)/pytest $(WORKERS)
	NUMBA_DISABLE_JIT=1 HYPOTHESIS_PROFILE=brief $(BIN)/pytest $(WORKERS) $(KERNEL_TESTS)
	NUMBA_BOUNDSCHECK=1 HYPOTHESIS_PROFILE=brief $(BIN)/pytest $(WORKERS) $(KERNEL_TESTS)

# The parts of the largest machine take half of the time here, so workers that are done take over what waits behind them.
nightly: kernels ## the engine against its oracle at length: 10,000 generated examples, ten times the streams
	HYPOTHESIS_PROFILE=nightly $(BIN)/pytest --numprocesses 3 --dist worksteal $(ENGINE_TESTS)

bench: setup ## run the benchmarks, compare with the previous commit, write bench/RESULTS.md
	$(BIN)/python -m bench

lock: setup ## resolve the newest releases into requirements/*.txt
	$(BIN)/python -m venv $(UV_VENV)
	$(UV_VENV)/bin/python $(PIP_INSTALL) uv
	$(COMPILE_LOCK) --group build --output-file requirements/build.txt
	$(COMPILE_LOCK) pyproject.toml --output-file requirements/run.txt
	$(COMPILE_LOCK) pyproject.toml --group dev --output-file requirements/dev.txt
	for client in $(CLIENTS); do $(COMPILE_LOCK) --group client-$$client --output-file requirements/clients/$$client.txt || exit; done

clean: ## remove .venv and every cache; leaves var/, which holds data
	rm -rf $(VENV) build dist .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache *.egg-info
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
