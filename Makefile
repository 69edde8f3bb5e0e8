# Every target does the set-up it needs, on a machine with python3 (3.11 or later), pip and make.
# Written for make 3.81 too, which is what macOS has.

SHELL := /bin/bash
PACKAGES := shared sandbox merlin-api reisoftware-api $(wildcard tap-* target-*)
# What uvicorn takes where it finds it.
UNIMPORTED := --per-rule-ignores 'DEP002=httptools|uvloop'
PYTHON := .venv/bin/python
MELTANO := .tools/meltano/bin/meltano
DBT := .tools/dbt/bin/dbt
AIRFLOW := .tools/airflow/bin/python

# Hundreds of processes start in a run of the tests: what they import is compiled once.
export UV_COMPILE_BYTECODE := 1
export PYTHONDONTWRITEBYTECODE :=

# uv as it is on this machine, else one of our own, put into .tools by pip.
UV := $(shell uv --version >/dev/null 2>&1 && command -v uv || echo .tools/uv/bin/uv)

.PHONY: help demo test soak limits check build release reference picture bench sandbox env meltano dbt plugins coverage clean airflow airflow-env airflow-check airflow-measure airflow-test

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1	/'

demo: env meltano ## watch records move: a warehouse, the four vendors (in the sandbox), DuckDB
	@$(PYTHON) -m demo

test: env meltano dbt ## all tests
	@$(PYTHON) -m pytest -n auto $(ARGS)

soak: env ## random scenarios with models of the vendors: make soak N=3000 SEED=1
	@SOAK=$(or $(N),1000) SEED=$(or $(SEED),1) $(PYTHON) -m pytest -n auto -q tests/hostile $(ARGS)

limits: env ## the rate limit at 100/10s: four processes, one killed, on PostgreSQL and on SQLite (4 minutes)
	@LIMIT=100/10s $(PYTHON) -m pytest -q tests/core/http/test_many_machines.py -k killed $(ARGS)

coverage: env meltano dbt ## all tests, and which lines they reach
	@$(PYTHON) -m pytest -n auto --cov --cov-report=term --cov-report=html $(ARGS)

check: env ## style, types, imports, dependencies, the lock (under 30 seconds)
	@$(UV) lock --check --quiet
	@$(PYTHON) -m ruff check
	@$(PYTHON) -m ruff format --check
	@$(PYTHON) -m mypy
	@.venv/bin/lint-imports --no-cache
	@for package in $(PACKAGES); do \
		(cd $$package && ../.venv/bin/deptry --no-ansi $(UNIMPORTED) . 2>&1) || exit 1; \
	done

build: $(UV) ## wheels and sdists of all packages, in dist/
	@rm -rf dist
	@$(UV) build --quiet --all-packages --out-dir dist
	@ls dist

release: env ## one version everywhere, and the CHANGELOG: make release VERSION=0.2.0
	@$(PYTHON) -m scripts.release $(VERSION)
	@$(UV) lock --quiet
	@$(UV) sync --quiet --all-packages
	@$(PYTHON) -m scripts.reference

reference: env ## settings tables of the READMEs, and plugins/, out of the plugins themselves
	@$(PYTHON) -m scripts.reference

picture: env ## docs/images/report.png, the page of a run in the sandbox (needs Chromium)
	@$(PYTHON) -m scripts.picture

bench: env meltano dbt ## measure ours beside the peers (takes long; writes benchmarks/RESULTS.md)
	@$(PYTHON) -m benchmarks $(ARGS)

sandbox: env ## a local server that behaves like the four vendors, to try things against
	@.venv/bin/singer-sandbox --port $${SANDBOX_PORT:-8765} --seed $(ARGS)

airflow: meltano airflow-env ## Airflow with 20 accounts of the sandbox, to try: prints the address
	@cd orchestrate/airflow && PYTHONPATH=.:../.. ../../$(AIRFLOW) -m trial

airflow-check: airflow-env ## types and tests of the accounts' DAG, without a running Airflow
	@$(UV) lock --check --quiet --project orchestrate/airflow
	@cd orchestrate/airflow && ../../$(AIRFLOW) -m mypy
	@cd orchestrate/airflow && ../../$(AIRFLOW) -m pytest -q -m 'not real_parts' $(ARGS)

# The workers' namespaces need root.
airflow-test: meltano airflow-check ## the same, and with real parts: make airflow-test ACCOUNTS=200
	@cd orchestrate/airflow && ACCOUNTS=$(or $(ACCOUNTS),12) ../../$(AIRFLOW) -m pytest -s -q -m real_parts $(ARGS)

airflow-measure: meltano airflow-env ## accounts per hour with 1, 2 and 4 workers, for docs/scale.md (root)
	@cd orchestrate/airflow && PYTHONPATH=.:../.. ../../$(AIRFLOW) -m trial.measure

# An environment of its own: nobody who uses the plugins installs Airflow.
airflow-env: $(UV)
	@UV_PROJECT_ENVIRONMENT=$(CURDIR)/.tools/airflow $(UV) sync --quiet --frozen --project orchestrate/airflow

env: $(UV) ## the environment for development, in .venv
	@$(UV) sync --quiet --all-packages

meltano: $(MELTANO) ## Meltano, in .tools

dbt: $(DBT) ## dbt for PostgreSQL, in .tools

plugins: meltano ## the plugins of meltano.yml, each in an environment of its own in .meltano
	@$(MELTANO) install

clean: ## remove what make made; what runs left (.singer-http, output) stays
	rm -rf .venv .tools .meltano orchestrate/airflow/example/.meltano dist build htmlcov .coverage .coverage.*
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --target works where the system's Python is closed to pip, and where venv is not installed.
.tools/uv/bin/uv:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "python3 is older than 3.11")'
	@echo "uv is not installed: putting one into .tools"
	@python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target .tools/uv 'uv>=0.9,<1'

# Tools with an environment each: their dependencies are not ours. Meltano's database may be
# PostgreSQL. The tests of the dbt package run dbt; no plugin needs it.
$(MELTANO): REQUIREMENTS := 'meltano[postgres]==4.4.*'
$(DBT): REQUIREMENTS := 'dbt-core==1.11.*' 'dbt-postgres==1.11.*'
$(MELTANO) $(DBT): $(UV) Makefile
	@rm -rf $(@D:/bin=)
	@$(UV) venv --quiet $(@D:/bin=)
	@$(UV) pip install --quiet --python $(@D:/bin=) $(REQUIREMENTS)
	@touch $@
