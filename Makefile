# SPDX-License-Identifier: Apache-2.0
# Requires make and Python 3.10 or later; everything else is installed into .venv and .tools.

PYTHON ?= python3
# The number of test processes. One runs the tests of the real Airflow, which mostly wait, and the others run the rest.
# If one crashes the run must fail: xdist would start another and then wait indefinitely.
WORKERS ?= 2
PYTEST = $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadscope --no-loadscope-reorder --max-worker-restart 0
# Without bytecode on disk, each process of a test would compile Airflow again.
unexport PYTHONDONTWRITEBYTECODE
QUICK := "not system and not slow"
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
INSTALL := $(UV) pip install --quiet --python $(BIN)/python --constraint constraints.txt

# The dependencies of an Airflow of May 2025, with the lowest supported versions of this package's own dependencies.
LOWEST = $(UV) pip compile --quiet --universal --python-version 3.10 --no-header --no-annotate \
	--exclude-newer 2025-06-15 --exclude-newer-package apache-airflow-providers-common-compat=2026-11-15 \
	--exclude-newer-package isal=2026-11-15 --exclude-newer-package pytest-xdist=2026-11-15 \
	--extra amazon --extra microsoft-azure --extra parquet

.DEFAULT_GOAL := help
.PHONY: help demo airflow test test-quick test-long test-scale matrix celery chaos bench bench-poller lint types constraints build coverage hooks release-check public-api docs screenshots clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /	/' | expand -t 14

demo: $(VENV)/.installed ## store yesterday's activities from the sandbox with a real Airflow, and print the result
	@$(BIN)/python -m scripts.demo

airflow: $(VENV)/.installed ## run Airflow with the sandbox, the example DAGs and a connection, to explore
	@$(BIN)/python -m scripts.airflow

test: $(VENV)/.installed-dev ## run all tests, including those with real servers
	@scripts/install-tools.sh
	$(PYTEST) $(PYTEST_ARGS)

test-quick: $(VENV)/.installed-dev ## run the tests, except slow ones and those with a real Airflow: 3 minutes
	$(PYTEST) -m $(QUICK) $(PYTEST_ARGS)

coverage: $(VENV)/.installed-dev ## run test-quick and report line coverage; fails below 95 %
	$(PYTEST) -m $(QUICK) --cov $(PYTEST_ARGS)

test-long: $(VENV)/.installed-dev ## run the tests in a real Airflow that take minutes: clearing, failed and unchanged exports, partitions, columns
	CONNECTIF_TEST_LONG=1 $(BIN)/python -m pytest tests/system/test_clearing.py tests/system/test_export_failed.py \
		tests/system/test_partitions.py tests/system/test_schema_changes.py tests/system/test_unchanged.py \
		$(PYTEST_ARGS)

test-scale: $(VENV)/.installed-dev ## run many tasks at once in a real Airflow: 200 deferred, 500 mapped (STORES=100 for fewer), 61 partitions; 20 to 60 minutes
	CONNECTIF_TEST_EXPORTS=100 CONNECTIF_TEST_TASKS=200 CONNECTIF_TEST_BURST=50 CONNECTIF_TEST_PARTITIONS=1 CONNECTIF_TEST_LONG=1 \
	CONNECTIF_TEST_STORES=$(or $(STORES),500) $(BIN)/python -m pytest -s tests/system/test_export_finished.py \
		tests/system/test_export_failed.py tests/system/test_many.py tests/system/test_mapped_stores.py \
		tests/system/test_partitions.py $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev ## check style, format, types and language
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m scripts.check_types
	$(BIN)/python -m scripts.check_language

types: $(VENV)/.installed-dev ## check only the types: of the package, the example DAGs and the snippets in the documentation
	$(BIN)/mypy
	$(BIN)/python -m scripts.check_types

docs: $(VENV)/.installed-dev ## build the documentation's site in build/docs; warnings are errors
	@$(BIN)/python -m scripts.docs $(if $(VERSIONS),--versions $(VERSIONS))

screenshots: $(VENV)/.installed-dev ## take the documentation's screenshots again
	@$(BIN)/python -m scripts.screenshots

matrix: $(VENV)/.installed-dev ## run the tests on Python 3.10 to 3.13, and with the lowest Airflow and dependencies
	@scripts/install-tools.sh
	@$(BIN)/python -m scripts.matrix $(ROWS) $(MATRIX_ARGS)

celery: .tools/celery/.installed ## run the example DAGs with the CeleryExecutor, Redis and two workers
	@scripts/install-tools.sh redis-server
	@.tools/celery/bin/python -m scripts.celery

chaos: $(VENV)/.installed-dev ## kill 30 processes of a real Airflow, and processes that store in shared folders
	@$(BIN)/python -m scripts.chaos_folders $(CHAOS_FOLDERS_ARGS)
	@$(BIN)/python -m scripts.chaos $(CHAOS_ARGS)

bench: $(VENV)/.installed-dev .tools/aws/bin/aws ## compare storing an export with the same job done by common tools
	@$(BIN)/python -m benchmarks $(BENCH_ARGS)

bench-poller: $(VENV)/.installed-dev ## measure what 10 to 5,000 waiting exports cost a triggerer
	@$(BIN)/python -m benchmarks.poller $(BENCH_ARGS)

constraints: $(VENV)/.uv ## update the pinned versions in constraints.txt and constraints-lowest.txt
	$(UV) pip compile --quiet --universal --upgrade --python-version 3.10 --no-header --no-annotate \
		--extra amazon --extra microsoft-azure --extra parquet --group dev --group celery pyproject.toml --output-file constraints.txt
	$(LOWEST) --resolution lowest-direct pyproject.toml --output-file constraints-lowest.txt
	$(LOWEST) --group test pyproject.toml --constraint constraints-lowest.txt --output-file constraints-lowest.txt

build: $(VENV)/.uv ## build the wheel and the source archive in dist/
	@$(BIN)/python -m scripts.build

release-check: $(VENV)/.uv .tools/release/.installed ## build and check a release of the current commit: archives, bill of materials, workflows
	@$(BIN)/python -m scripts.release_check --tools .tools/release/bin $(if $(TAG),--tag "$(TAG)")

hooks: $(VENV)/.installed-dev .tools/hooks/bin/pre-commit ## install git hooks that check style, types and the public API before each commit
	@.tools/hooks/bin/pre-commit install

public-api: $(VENV)/.uv ## update tests/public_api.txt after an intentional change of the public API
	@$(BIN)/python -m scripts.public_api

clean: ## remove everything that the other targets created
	rm -rf $(VENV) .tools .demo .airflow .celery .screenshots dist build

# Stamp files: installed once, and again when a prerequisite changes.
$(VENV)/.uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "$(PYTHON) is $$($(PYTHON) -V): Python 3.10 or later is required; choose one with make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Could not create a virtual environment; on Debian, run apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@touch $@

$(VENV)/.installed: $(VENV)/.uv pyproject.toml constraints.txt
	@echo "Installing the provider and Airflow into $(VENV)"
	@$(INSTALL) --editable '.[parquet]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing the dependencies of tests and checks into $(VENV)"
	@$(INSTALL) --group dev --editable '.[amazon,microsoft-azure,parquet]'
	@touch $@

.tools/hooks/bin/pre-commit: | $(VENV)/.uv
	@$(UV) venv --quiet --clear .tools/hooks
	@$(UV) pip install --quiet --python .tools/hooks/bin/python pre-commit==4.7.0

# In a separate environment, because its dependencies may conflict with those of the tests.
.tools/release/.installed: Makefile | $(VENV)/.uv
	@$(UV) venv --quiet --clear .tools/release
	@$(UV) pip install --quiet --python .tools/release/bin/python twine==7.0.0 'readme-renderer[md]==46.0' \
		cyclonedx-bom==7.5.0 zizmor==1.32.0
	@touch $@

# In a separate environment, because with Celery's provider the dependencies differ from those of the tests.
.tools/celery/.installed: pyproject.toml constraints.txt | $(VENV)/.uv
	@echo "Installing Airflow with Celery into .tools/celery"
	@$(UV) venv --quiet --clear .tools/celery
	@$(UV) pip install --quiet --python .tools/celery/bin/python --constraint constraints.txt --group celery --editable '.[parquet]'
	@touch $@

# In a separate environment, because it requires a different botocore than s3fs.
.tools/aws/bin/aws: | $(VENV)/.uv
	@$(UV) venv --quiet --clear .tools/aws
	@$(UV) pip install --quiet --python .tools/aws/bin/python awscli==1.45.11
