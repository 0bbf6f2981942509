# Targets for people; `make` prints them. Each sets up what it needs, also where there is only python3, make and git.
SHELL := bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PORT ?= 3000
DEMO ?= 1
DAYS ?= 3
PROJECT ?=

UV_VERSION := 0.13.8
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
BIN := .venv/bin
READY := .venv/.ready
PLATFORMS := x86_64-manylinux_2_28 aarch64-manylinux_2_28 aarch64-apple-darwin
SOURCES := pyproject.toml uv.lock $(wildcard shared/pyproject.toml projects/*/pyproject.toml demo/pyproject.toml)
# The environment is the workspace's, whatever is active in this shell.
unexport VIRTUAL_ENV
export UV_PYTHON_PREFERENCE = system

.PHONY: help
help: ## Print the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.uv/bin/uv:
	@echo "No uv on PATH; installing uv $(UV_VERSION) for this checkout only (.uv/)."
	@python3 -m venv .uv || { echo "python3 cannot make environments: install its venv/ensurepip package (Debian, Ubuntu: apt-get install python3-venv)."; rm -rf .uv; exit 1; }
	@.uv/bin/python -m pip --quiet --disable-pip-version-check install "uv==$(UV_VERSION)"

$(READY): $(SOURCES) deploy/instance/local.yaml | $(filter .uv/bin/uv,$(UV))
	@echo "Setting up the environment in .venv …"
	@$(UV) sync --quiet --locked --all-packages --compile-bytecode
	@$(BIN)/python -m compileall -q shared/src projects/*/src demo/src
	@$(BIN)/platform setup
	@touch $@

.PHONY: setup
setup: $(READY) manifest ## Install everything, write .env files, prepare the dbt manifest

.PHONY: manifest
manifest: $(READY) ## Prepare the dbt manifest if the dbt project changed
	@$(BIN)/platform manifest

.PHONY: dev
dev: setup ## Run it all: demo world, locations, daemon, web UI (PORT=3000, DEMO=0 without the demo world)
	@exec $(BIN)/platform dev --port $(PORT) $(if $(filter 0,$(DEMO)),--no-demo)

.PHONY: demo
demo: setup ## Play the last DAYS=3 days of trade through the real daemon, print the totals, end
	@exec $(BIN)/platform demo --days $(DAYS)

.PHONY: backfill
backfill: setup ## Build partitions again: asset=marts/daily_sales from=2026-03-01 to=2026-03-07 (preview=1 only says what)
	@$(if $(and $(asset),$(from),$(to)),,echo "make backfill asset=<key, group:name or all> from=<date> to=<date>"; exit 2;) \
	$(BIN)/platform backfill $(asset) --from "$(from)" --to "$(to)" $(if $(preview),--preview)

.PHONY: test
test: setup ## Run all tests; PROJECT=x runs one location's
	@$(BIN)/python -m pytest $(if $(PROJECT),projects/$(PROJECT)/tests,--numprocesses 2 --dist loadfile --no-loadscope-reorder)

.PHONY: soak
soak: setup ## Run property tests and faults for long, and a whole cycle of the year through the daemon (an hour or more)
	@PLATFORM_SOAK=1 $(BIN)/python -m pytest --timeout 14400 --hypothesis-profile=soak tests/test_ingestion_cycle.py \
	    tests/test_backfill_cycle.py tests/faults shared/tests/ingestion shared/tests/ledger shared/tests/automation

.PHONY: lint
lint: $(READY) ## Style, format and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(addprefix -p ,platform_shared demo_world $(notdir $(wildcard projects/*)))

.PHONY: format
format: $(READY) ## Mend style and format where that needs no thought
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: check
check: setup ## Load every location apart and check the workspace as a whole
	@$(BIN)/platform check

.PHONY: resolve
resolve: $(READY) ## Check that the lock installs from wheels alone on Python 3.11 to 3.13, Linux and macOS arm64
	@$(UV) export --quiet --locked --all-packages --all-groups --no-emit-workspace --no-hashes --output-file .venv/locked.txt >/dev/null
	@for python in 3.11 3.12 3.13; do for platform in $(PLATFORMS); do \
	    $(UV) pip compile --quiet --no-deps --only-binary :all: --python-version $$python --python-platform $$platform .venv/locked.txt >/dev/null || exit 1; \
	    echo "Python $$python on $$platform: wheels for all"; \
	done; done

.PHONY: bench
bench: setup ## Measure against the naive way and the limits: the start of `make dev`, ingestion, a year of days, automation (40 minutes)
	@$(BIN)/python -m benchmarks.startup
	@$(BIN)/python -m benchmarks.ingest
	@$(BIN)/python -m benchmarks.batch
	@$(BIN)/python -m benchmarks.automation

.PHONY: down
down: $(READY) ## Stop the shared Postgres
	@$(BIN)/platform down

.PHONY: reset
reset: $(READY) ## Delete all local state (asks; YES=1 does not)
	@$(BIN)/platform reset $(if $(YES),--yes)
