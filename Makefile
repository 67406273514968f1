# The two commands of the README: `make demo` and `make test`. Both set up .venv first.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# Tests with a run of their own: the marks of tests/conftest.py, by path, so that nothing else is collected.
DEMOS := tests/e2e/test_demo_interrupted.py tests/house/test_wheel.py tests/prefect/test_chaos_real.py
# What takes minutes and changes seldom, or needs another registry: make test-long.
LONG := tests/e2e/test_demo_providers.py tests/e2e/test_demo_providers_promoted.py tests/e2e/test_fencing.py \
  tests/prefect/test_planted_secrets.py tests/providers/vercel/test_vercel_clients.py
ALONE := tests/sandbox/test_sandbox_faults.py tests/sandbox/test_sandbox_features.py tests/sandbox/test_sandbox_flags.py \
  tests/sandbox/test_sandbox_live.py tests/sandbox/test_sandbox_load.py tests/sandbox/test_sandbox_router.py \
  tests/e2e/test_real_prometheus.py
# Debian packages whose programs the tests run. tests/conftest.py says which program comes from which.
SERVICES := prometheus prometheus-alertmanager chromium postgresql redis-server
POLICY := /usr/sbin/policy-rc.d

.PHONY: setup demo test test-long bench bench-judge bench-judge-full chaos mutants screenshots docs-examples services lock clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 setup" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "apt install python3-venv" >&2; exit 1; }
	@echo "Installing the locked packages into .venv"
	@$(PYTHON) -m venv .venv
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup
	@$(BIN)/canary demo

test: setup services
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	@# What waits for others beside what computes; then what only counts on a machine that does nothing else.
	@logs=$$(mktemp -d); trap 'rm -rf '$$logs EXIT; \
	$(BIN)/python -m pytest -p no:cacheprovider tests/prefect $(patsubst %,--ignore=%,$(LONG) $(DEMOS)) >$$logs/prefect 2>&1 & prefect=$$!; \
	nice -n 5 $(BIN)/mypy >$$logs/types 2>&1 & types=$$!; \
	nice -n 5 $(BIN)/python -m pytest -p no:cacheprovider $(DEMOS) >$$logs/demo 2>&1 & demo=$$!; \
	nice -n 5 $(BIN)/python -m pytest -m "not prefect and not demo and not long and not alone"; failed=$$?; \
	wait $$types || failed=1; wait $$prefect || failed=1; wait $$demo || failed=1; \
	cat $$logs/types $$logs/prefect $$logs/demo; exit $$failed
	$(BIN)/python -m pytest $(ALONE)

# A conductor stopped at the worst moment, every secret planted and looked for, the demo on played platforms, and the
# vendors' own clients, which npm installs: about 10 minutes.
test-long: setup services
	$(BIN)/python -m pytest $(LONG)

# The README's pictures of the Prefect UI, taken by the tests that click through it.
screenshots: setup services
	SCREENSHOTS=docs/images $(BIN)/python -m pytest tests/prefect/test_ui.py

# What a rehearsal leaves behind, for docs/examples and docs/images.
docs-examples: setup services
	$(BIN)/python -m bench.examples

# The measured figures of bench/results. Let the machine do nothing else meanwhile.
bench: setup
	@for each in startup tick coverage power review reaction ui_checks demo starvation backtest providers; do \
	  echo "bench.$$each"; $(BIN)/python -m bench.$$each --json bench/results/$$each.json || exit 1; \
	done

# How often each judge is wrong, and how fast it is right: the headline cells, about 10 minutes on 2 cores.
bench-judge: setup
	@rm -f bench/results/judge.json
	@$(BIN)/python -m bench.judge --cells bench/judge/cells/headline.json --out bench/results/judge.json

# All cells of the protocol, about 5 hours on 2 cores. Stopped and started again, it goes on.
bench-judge-full: setup
	@mkdir -p bench/out
	@$(BIN)/python -m bench.judge --cells bench/judge/cells/full.json --out bench/out/judge-full.json

# Storms in virtual time, each promise broken on purpose, and rounds of kills among real parts: about 40 minutes. What the
# figures of docs/reliability.md are made by; each storm and each round is counted in bench/results/chaos.
SEED ?= $(shell date +%s)
chaos: setup services
	$(BIN)/python -m bench.chaos sim --seed $(SEED) --runs 25000 --out bench/results/chaos
	$(BIN)/python -m bench.chaos real --seed $(SEED) --minutes 20 --out bench/results/chaos/real
	$(BIN)/python -m bench.chaos breaks --seed $(SEED) --runs 400

# Small changes to the code that decides: does some test notice each of them? About 3 minutes on one core.
# What was killed in a file that did not change is not tried again; for all of it, delete the results first.
mutants: setup
	@$(BIN)/python -m bench.mutants

# Real programs to test against. Debian starts a service as soon as it is installed, on its default port,
# unless policy-rc.d forbids it: the tests start their own, on free ports.
services:
	@missing=""; \
	for package in $(SERVICES); do \
	  test "$$(dpkg-query -W -f '$${db:Status-Status}' $$package 2>/dev/null)" = installed \
	    || missing="$$missing $$package"; \
	done; \
	test -n "$$missing" || exit 0; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	  echo "Tests of what is missing here are skipped. To run them: apt install$$missing"; exit 0; \
	fi; \
	echo "Installing$$missing"; \
	test -e $(POLICY) || { trap 'rm -f $(POLICY)' EXIT; printf '#!/bin/sh\nexit 101\n' >$(POLICY); chmod +x $(POLICY); }; \
	set -e; export DEBIAN_FRONTEND=noninteractive; \
	apt-get -qq update; \
	apt-get -qq -o DPkg::Lock::Timeout=120 install --no-install-recommends $$missing </dev/null >/dev/null

# Keeps the versions locked so far where it can. For newer ones: rm requirements.lock, then make lock.
lock:
	@$(PYTHON) -m venv .uv
	@.uv/bin/python -m pip --quiet --disable-pip-version-check install uv
	@.uv/bin/uv pip compile pyproject.toml --quiet --all-extras --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --custom-compile-command "make lock" --output-file requirements.lock

clean:
	rm -rf .venv .uv build dist src/*.egg-info .coverage .hypothesis
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
