PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := atcaprov provisioning_client provisioning_server signer_module

.PHONY: setup demo test lint benchmarks bench platforms docs clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) tests/platforms/build_needs.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: setup
	$(BIN)/python -m provisioning_client.demo

test: setup lint
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 $(PACKAGES)
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin $(PACKAGES)
	$(BIN)/lint-imports

benchmarks: setup
	$(BIN)/python -m pytest tests/benchmarks -q -s

bench: setup
	$(BIN)/python -m pytest virtual_bench/host -q
	$(BIN)/python -m virtual_bench

platforms: setup
	$(BIN)/python -m tests.platforms $(PLATFORMS)

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --fresh-env --quiet -c docs . site
	@echo "open site/index.html"

$(VENV)/.docs: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

clean:
	rm -rf $(VENV) .bench .platforms site demo benchmarks.json
