PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := atcaprov provisioning_client provisioning_server signer_module

# Processes that share the tests; WORKERS=0 runs them in pytest itself, as a debugger needs it.
WORKERS ?= auto
PYTEST := $(BIN)/python -m pytest
SHARED := --numprocesses $(WORKERS) --dist worksteal

.PHONY: help setup demo check test lint lint-style lint-types lint-imports benchmarks bench soak platforms docs lock dist clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

setup: $(VENV)/.ready ## make .venv with all that development needs

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) tests/platforms/build_needs.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: setup ## provision three software chips
	$(BIN)/python -m provisioning_client.demo

check: lint ## linters and the quick tests: before each commit
	$(PYTEST) $(SHARED) -m 'not slow' $(PYTEST_ARGS)

test: lint ## linters and all tests: before each push
	$(PYTEST) $(SHARED) $(PYTEST_ARGS)

lint: lint-style lint-types lint-imports ## linters alone

lint-style: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lint-types: setup
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 $(PACKAGES)
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin $(PACKAGES)

lint-imports: setup
	$(BIN)/lint-imports

benchmarks: setup ## measure; figures also in benchmarks.json
	$(PYTEST) tests/benchmarks -q -s

bench: setup ## boards on a real kernel, and power cuts, in virtual machines
	$(PYTEST) virtual_bench/host -q
	$(BIN)/python -m virtual_bench
	$(BIN)/python -m tests.soak cuts --count 10

soak: setup ## kill servers, fail disks and cut the power for a while
	$(BIN)/python -m tests.soak $(SOAK)

platforms: setup ## the product on other systems and Python versions
	$(BIN)/python -m tests.platforms $(PLATFORMS)

docs: $(VENV)/.docs ## build the pages into site/, links checked
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --fresh-env --quiet -c docs . site
	@echo "open site/index.html"

$(VENV)/.docs: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

lock: $(VENV)/.release ## lock the newest requirements of installs, with hashes
	$(BIN)/python -m release lock

dist: $(VENV)/.release ## the wheel of the newest commit, bills of materials and licences into dist/; try them
	$(BIN)/python -m release check

$(VENV)/.release: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[release]'
	@touch $@

clean: ## delete all that these targets made
	rm -rf $(VENV) .bench .platforms site demo dist benchmarks.json
