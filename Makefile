# Everything this project does from a shell. `make` alone lists the targets; each one sets up what it needs.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help install format lint types imports test check docs migrate migration worker lock format-check requirements

# A line "target: needs  ## what it does" is all it takes to be listed here.
help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

install: $(READY)  ## set up .venv with the locked dependencies (every other target does this first)

format: $(READY)  ## rewrite the code in the house's format and mend what can be mended
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

lint: $(READY)  ## ruff's rules
	$(BIN)/ruff check .

types: $(READY)  ## mypy, strict
	$(BIN)/mypy

imports: $(READY)  ## the import contracts: which layer may know which
	$(BIN)/lint-imports --no-logo

test: $(READY)  ## the tests, on a real PostgreSQL (ARGS="-k claim")
	$(BIN)/python -m pytest $(ARGS)

# `test` stands last, so that the quick checks speak first. Make runs a target once in an invocation, which is
# why .ci/run says `make test check`: the suite as the README runs it, then the rest, and not the suite again.
check: format-check lint types imports requirements test  ## all that must hold before a commit

docs: $(READY)  ## make the generated parts of docs/ anew
	$(BIN)/python docs/lifecycle.py

migrate: $(READY)  ## bring the database to the schema this version needs
	$(BIN)/python -m app migrate

# Autogenerate compares our tables with the database, hence `migrate`. Revisions are numbered, not random, so
# that two branches which both add the next one meet as a conflict and not as two heads.
migration: migrate  ## write the next migration from the change in our tables (m="add a column")
	@test -n "$(m)" || { echo 'Say what the migration does: make migration m="add a column"' >&2; exit 2; }
	@last=$$(ls alembic/versions | sed -n 's/^\([0-9]\{4\}\)_.*\.py$$/\1/p' | sort | tail -n 1); \
	next=$$(printf '%04d' $$((1$${last:-0000} - 9999))); \
	exec $(BIN)/python -m alembic revision --autogenerate --rev-id "$$next" -m "$(m)"

# `exec` leaves no shell between make and the worker: a SIGTERM that make passes on reaches it.
worker: migrate  ## migrate, then run a worker until Ctrl-C (ARGS="--concurrency 20")
	@exec $(BIN)/python -m app worker $(ARGS)

# For every platform and every Python from 3.11 on, which is why it holds many hashes for a package. The lock must
# be the public registry's truth whatever this machine is configured to use, so local indexes are left aside and
# a lock that names an address is refused.
lock: $(READY)  ## newest versions into requirements.lock (KEEP=1: only what pyproject.toml asks anew)
	env -u UV_FIND_LINKS -u UV_INDEX -u UV_EXTRA_INDEX_URL \
	$(BIN)/uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
	    --generate-hashes --no-config --custom-compile-command "make lock" --quiet \
	    $(if $(KEEP),,--upgrade) --output-file requirements.lock
	@if grep -nE '://|^[[:space:]]*--(index|extra-index|find-links)' requirements.lock; then \
	    echo 'requirements.lock names an address, see above.' >&2; exit 1; fi

# The peers' environments are made first, each once, and outside of the time that is told.
bench: $(READY)  ## ours beside its peers, every workload in full, for hours (ARGS="--only W3 --systems ours,awa")
	$(BIN)/python -m benchmarks run $(ARGS)

bench-quick: $(READY)  ## the same in five minutes: small and once
	$(BIN)/python -m benchmarks run --quick $(ARGS)

bench-retention: $(READY)  ## what claims and settlements feel of a day of a million tasks that goes (ARGS="--rows 100000")
	$(BIN)/python -m benchmarks.retention $(ARGS)

bench-schedules: $(READY)  ## how late schedules are with five workers, and that each tick gets one task
	$(BIN)/python -m benchmarks.schedules $(ARGS)

bench-letters: $(READY)  ## requeue 100,000 dead letters, with a kill -9 in the middle (ARGS="--letters 10000")
	$(BIN)/python -m benchmarks.dead_letters $(ARGS)

# --- not listed ---

format-check: $(READY)
	$(BIN)/ruff format --check .

# A dependency that is in pyproject.toml and not in the lock shows here.
requirements: $(READY)
	@$(BIN)/python -m pip check

$(READY): pyproject.toml requirements.lock | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Debian's Python has venv without ensurepip and leaves half an environment behind, so it is asked first.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo 'Python 3.11 or newer is needed, and $(PYTHON) is not. Name another: make PYTHON=python3.12 …' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo '$(PYTHON) cannot make virtual environments: its venv or ensurepip module is missing.' \
	         'On Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
