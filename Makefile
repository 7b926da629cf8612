# Everything runs in .venv, which is made from a bare python3 on first use.
#   make setup   install          make check   lint, types, direction of imports
#   make demo    the journey      make test    all tests
#   make bench   all benchmarks   make clean   remove what was made
#   make soak    random faults under load, for MINUTES
#
#   make demo ARGS="--database postgresql"     make test ARGS="-k isso" PROCESSES=0
#   make bench-facade ARGS="--quick"           make setup PYTHON=python3.13
#   make soak MINUTES=60 ARGS="--seed 7"

PYTHON ?= python3
ARGS ?=
MINUTES ?= 10
PROCESSES ?= 2

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCHMARKS = $(patsubst benchmarks/%.py,bench-%,$(shell grep -l 'Options[.]parse' benchmarks/*.py))

.PHONY: setup demo test soak check bench clean
.DEFAULT_GOAL := setup

setup: $(STAMP)

demo: $(STAMP)
	$(BIN)/strangler demo $(ARGS)

test: $(STAMP)
	$(BIN)/pytest --numprocesses $(PROCESSES) --no-loadscope-reorder --durations 25 --durations-min 5 $(ARGS)

soak: $(STAMP)
	$(BIN)/python -m tests.soak --minutes $(MINUTES) $(ARGS)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(BENCHMARKS)

bench-%: $(STAMP)
	$(BIN)/python -m benchmarks.$* $(ARGS)

clean:
	rm -rf $(VENV) dist demo-report .strangler .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Python 3.11 or newer is needed, and $(PYTHON) is not that. Name one: make $(or $(MAKECMDGOALS),setup) PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "$(PYTHON) cannot make environments. Install its venv module: apt-get install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
