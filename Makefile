# SPDX-License-Identifier: Apache-2.0
# Needs make and Python 3.10 to 3.13; everything else is installed into .venv and .tools.

PYTHON ?= python3
# Processes that share the tests: one has the real Airflow's, which wait much, and the others the rest. Where one
# crashes the run is to fail: xdist, which would start another, then waits for ever.
WORKERS ?= 2
PYTEST = $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadscope --no-loadscope-reorder --max-worker-restart 0
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
INSTALL := $(UV) pip install --quiet --python $(BIN)/python --constraint constraints.txt

# What an Airflow of May 2025 ran with, and of what this package names itself the lowest versions that it admits.
LOWEST = $(UV) pip compile --quiet --universal --python-version 3.10 --no-header --no-annotate \
	--exclude-newer 2025-06-15 --exclude-newer-package apache-airflow-providers-common-compat=2026-11-15 \
	--exclude-newer-package isal=2026-11-15 --exclude-newer-package pytest-xdist=2026-11-15 \
	--extra amazon --extra microsoft-azure

.DEFAULT_GOAL := help
.PHONY: help demo airflow test test-quick test-scale matrix celery chaos bench bench-poller lint types constraints build coverage hooks release-check public-api docs screenshots clean

help: ## list what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /	/' | expand -t 14

demo: $(VENV)/.installed ## a real Airflow stores yesterday's activities from the sandbox; prints what came out
	@$(BIN)/python -m scripts.demo

airflow: $(VENV)/.installed ## Airflow, the sandbox, the examples and a ready connection, to look around in
	@$(BIN)/python -m scripts.airflow

test: $(VENV)/.installed-dev ## all tests, those with real servers included
	@scripts/install-tools.sh
	$(PYTEST) $(PYTEST_ARGS)

test-quick: $(VENV)/.installed-dev ## the tests without the slow real-server ones
	$(PYTEST) -m "not system" $(PYTEST_ARGS)

coverage: $(VENV)/.installed-dev ## test-quick, and which lines of the package it ran: at least 95 of 100
	$(PYTEST) -m "not system" --cov $(PYTEST_ARGS)

test-scale: $(VENV)/.installed-dev ## many tasks at once in a real Airflow: 200 deferred, 500 mapped stores (STORES=100: fewer), …; 20 to 60 minutes
	CONNECTIF_TEST_EXPORTS=100 CONNECTIF_TEST_TASKS=200 CONNECTIF_TEST_BURST=50 \
	CONNECTIF_TEST_STORES=$(or $(STORES),500) $(BIN)/python -m pytest -s tests/system/test_export_finished.py \
		tests/system/test_many.py tests/system/test_mapped_stores.py $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev ## style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.installed-dev ## the documentation as a site, into build/docs; each warning is an error
	@$(BIN)/python -m scripts.docs

screenshots: $(VENV)/.installed-dev ## the pictures of the documentation, made anew
	@$(BIN)/python -m scripts.screenshots

matrix: $(VENV)/.installed-dev ## the tests on Python 3.10 to 3.13, and on the lowest Airflow with the lowest dependencies
	@scripts/install-tools.sh
	@$(BIN)/python -m scripts.matrix $(ROWS) $(MATRIX_ARGS)

celery: .tools/celery/.installed ## the examples with the CeleryExecutor, Redis and two workers
	@scripts/install-tools.sh redis-server
	@.tools/celery/bin/python -m scripts.celery

chaos: $(VENV)/.installed-dev ## kill 30 processes of a real Airflow at random moments, and count the exports
	@$(BIN)/python -m scripts.chaos $(CHAOS_ARGS)

bench: $(VENV)/.installed-dev .tools/aws/bin/aws ## storing an export beside what one would do without this package
	@$(BIN)/python -m benchmarks $(BENCH_ARGS)

bench-poller: $(VENV)/.installed-dev ## what 10 to 5,000 waiting exports cost a triggerer, beside a request for each
	@$(BIN)/python -m benchmarks.poller $(BENCH_ARGS)

constraints: $(VENV)/.uv ## resolve the versions that development and the demo use anew
	$(UV) pip compile --quiet --universal --upgrade --python-version 3.10 --no-header --no-annotate \
		--extra amazon --extra microsoft-azure --extra parquet --group dev --group celery pyproject.toml --output-file constraints.txt
	$(LOWEST) --resolution lowest-direct pyproject.toml --output-file constraints-lowest.txt
	$(LOWEST) --group test pyproject.toml --constraint constraints-lowest.txt --output-file constraints-lowest.txt

build: $(VENV)/.uv ## the wheel and the source archive, into dist/
	$(UV) build --quiet --out-dir dist
	@ls -l dist

release-check: $(VENV)/.uv .tools/release/bin/twine ## build both archives, check them, install each into an empty environment
	@$(BIN)/python -m scripts.release_check --twine .tools/release/bin/twine

hooks: $(VENV)/.installed-dev .tools/hooks/bin/pre-commit ## have git check style, types and the public API before each commit
	@.tools/hooks/bin/pre-commit install

public-api: $(VENV)/.uv ## write down the public API anew, after a change of it that is meant
	@$(BIN)/python -m scripts.public_api

clean: ## remove everything that the other targets made
	rm -rf $(VENV) .tools .demo .airflow .celery .screenshots dist build

# Stamps: installed once, and again when what they depend on changes.
$(VENV)/.uv:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "$(PYTHON) is $$($(PYTHON) -V): Python 3.10 to 3.13 is needed; say which with make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "No virtual environment could be made; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@touch $@

$(VENV)/.installed: $(VENV)/.uv pyproject.toml constraints.txt
	@echo "Installing the provider and Airflow into $(VENV)"
	@$(INSTALL) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing what tests and checks need into $(VENV)"
	@$(INSTALL) --group dev --editable '.[amazon,microsoft-azure,parquet]'
	@touch $@

.tools/hooks/bin/pre-commit: | $(VENV)/.uv
	@$(UV) venv --quiet --clear .tools/hooks
	@$(UV) pip install --quiet --python .tools/hooks/bin/python pre-commit==4.7.0

# By itself: what checks a release need not fit what the tests need.
.tools/release/bin/twine: | $(VENV)/.uv
	@$(UV) venv --quiet --clear .tools/release
	@$(UV) pip install --quiet --python .tools/release/bin/python twine==7.0.0 'readme-renderer[md]==46.0'

# By itself: with Celery's provider, Airflow is another one than that of the tests.
.tools/celery/.installed: pyproject.toml constraints.txt | $(VENV)/.uv
	@echo "Installing Airflow with Celery into .tools/celery"
	@$(UV) venv --quiet --clear .tools/celery
	@$(UV) pip install --quiet --python .tools/celery/bin/python --constraint constraints.txt --group celery --editable .
	@touch $@

# By itself: its botocore is another one than that of s3fs.
.tools/aws/bin/aws: | $(VENV)/.uv
	@$(UV) venv --quiet --clear .tools/aws
	@$(UV) pip install --quiet --python .tools/aws/bin/python awscli==1.45.11
