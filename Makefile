# Two commands set everything up on a machine with python3 >= 3.11 and make: `make demo`, `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check bench bench-gpt52 cassettes clean

demo: .venv/.server
	$(BIN)/massgen-compat demo

test: .venv/.dev
	$(BIN)/pytest

check: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright

bench: .venv/.dev
	$(BIN)/python -m benchmarks

bench-gpt52: .venv/.dev
	$(BIN)/python -m benchmarks.gpt52

# Offline, from the scripted model. LIVE=1: from the real API; it costs money, asks first (YES=1: does not).
cassettes: .venv/.dev
	$(BIN)/python -m tests.record_cassettes $(if $(LIVE),--live) $(if $(YES),--yes)

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis

.venv/.pip:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "massgen-compat needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	touch $@

.venv/.server: .venv/.pip pyproject.toml
	$(BIN)/pip install --quiet --editable '.[server]'
	touch $@

.venv/.dev: .venv/.server pyproject.toml
	$(BIN)/pip install --quiet --group dev
	touch $@
