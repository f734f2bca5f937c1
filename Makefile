# The commands of this project. `make run` and `make test` set up by themselves what they need.
#
#   make run     set up, get a base image, run a program in it, and say how long each step took
#   make test    set up, then every check and test, in order
#   make check   only the style checks: format, lint, types, layers, sizes, docstrings (a minute)
#   make unit    check + the tests that need no root
#   make bench   the measurements of bench/README.md against the peers of bench/peers.sh
#   make lock    compute requirements/*.lock anew
#   make clean   delete what the above made here
#
# PYTHON chooses the interpreter (3.11 or newer), IMAGE the image of `make run` (by default one like this
# machine), ARGS goes to pytest or bench.

PYTHON ?= python3
IMAGE ?=
ARGS ?=
VENV := .venv
SETUP = PYTHON='$(PYTHON)' VENV='$(VENV)' ./tools/setup.sh
# Docker's command: the machine's own, or the one of bench/peers.sh.
PEERS ?= /tmp/peers
export PATH := $(PATH):$(PEERS)/bin
PYTEST = $(VENV)/bin/python -m pytest -p tests.leaks
SUITES := style unit fuzz contract privileged clients vm

.PHONY: run test check unit bench lock clean setup setup-check
.DEFAULT_GOAL := run

run:
	@$(SETUP) run
	@$(VENV)/bin/python tools/first_run.py $(IMAGE)

setup:
	@$(SETUP) test

setup-check:
	@$(SETUP) check

# Each suite is a process of its own: what one leaves in its interpreter never helps or hurts the next.
# All of them run, also after a failure; the first line that matters is the last.
test: setup
	@failed=; \
	for suite in $(SUITES); do \
		[ -d tests/$$suite ] || continue; \
		printf '\n== %s ==\n' $$suite; \
		LODGE_LEAKS=all LODGE_TEST_RUN=$$$$-$$suite $(PYTEST) tests/$$suite $(ARGS) || failed="$$failed $$suite"; \
	done; \
	if [ -n "$$failed" ]; then echo "FAILED:$$failed"; exit 1; fi; \
	echo "All suites passed: $(SUITES)"

check: setup-check
	@$(PYTEST) -q tests/style $(ARGS)

unit: setup-check
	@$(PYTEST) -q tests/style tests/unit $(ARGS)

bench: setup
	@$(VENV)/bin/python -m bench $(ARGS)

lock:
	@VENV='$(VENV)' PYTHON='$(PYTHON)' ./tools/lock.sh

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache bench/results
