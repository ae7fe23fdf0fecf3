# Everything runs from .venv and node_modules, made here from the locks; nothing is global.
PYTHON ?= python3
# One more than there are processors: tests wait for servers two fifths of their time.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(os.cpu_count() + 1)')
VENV := .venv
PY := $(VENV)/bin/python
PIP_INSTALL := $(PY) -m pip --disable-pip-version-check install -q
# No build isolation: what comes as source is built by the locked tools too.
LOCKED := $(PIP_INSTALL) --no-build-isolation --require-hashes -r
UV ?= uv
COMPILE = $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-header --no-annotate
DEBIAN_REDIS ?= /usr/bin/redis-server
DEBIAN_POSTGRES ?= $(lastword $(sort $(wildcard /usr/lib/postgresql/*/bin)))
CODE := voketag consumers producers chaos soak fuzz screenshots tests benchmarks .ci/audit.py
SECONDS ?= 60

# npm and node from PATH if both are there, else the ones in the PyPI wheel.
ifneq ($(and $(shell command -v node),$(shell command -v npm)),)
NPM := npm
else
NPM := $(VENV)/bin/npm
NODE_STAMP := $(VENV)/.stamp-node
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
endif

COMMA := ,

# The systems that VokeTag is measured against have an environment of their own.
PEERS := .venv-peers
PEERS_INSTALL := $(PEERS)/bin/python -m pip --disable-pip-version-check install -q \
  --no-build-isolation --require-hashes -r

VENV_STAMP := $(VENV)/.stamp-venv
RUN_STAMP := $(VENV)/.stamp-run
DEV_STAMP := $(VENV)/.stamp-dev
FUZZ_STAMP := $(VENV)/.stamp-fuzz
AUDIT_STAMP := $(VENV)/.stamp-audit
BENCH_STAMP := $(VENV)/.stamp-bench
PEERS_STAMP := $(PEERS)/.stamp
NPM_STAMP := node_modules/.stamp

# `make test F11` and `make test -k F11`: the tests that name these failure modes, and no others.
FAILURE_MODES := $(filter F%,$(MAKECMDGOALS))
NAMED := $(shell echo "$(FAILURE_MODES)" | sed 's/F[0-9]*/_&_/g; s/ / or /g')
SELECTED := $(if $(FAILURE_MODES),-v -k "$(NAMED)")

.PHONY: help run demo test test-debian chaos soak fuzz bench screenshots peers audit lint format lock clean
.DEFAULT_GOAL := help
# Two pips at once in one environment would break it.
.NOTPARALLEL:

help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

run: $(RUN_STAMP) $(NPM_STAMP) ## set up what is missing, then start the whole system; Ctrl-C stops it: FORMATION=scan=2,score=2
	@exec $(VENV)/bin/voketag run $(if $(FORMATION),--formation $(FORMATION))

demo: $(RUN_STAMP) $(NPM_STAMP) ## run the main job once against a throw-away stack
	@exec $(VENV)/bin/voketag demo

test: $(DEV_STAMP) $(NPM_STAMP) ## run every test, or those of a failure mode: make test F11
	$(PY) -m pytest -n $(WORKERS) $(SELECTED)

F%: test ; @:

test-debian: $(DEV_STAMP) $(NPM_STAMP) ## the same against Debian's redis-server and PostgreSQL
	TEST_REDIS_SERVER=$(DEBIAN_REDIS) TEST_POSTGRES_BIN=$(DEBIAN_POSTGRES) $(PY) -m pytest -n $(WORKERS)

chaos: $(RUN_STAMP) $(NPM_STAMP) ## kill and break a stack of its own under load, then audit it: KILLS=25 SEED= RATE=100
	@$(PY) -m chaos --kills $(or $(KILLS),25) --rate $(or $(RATE),100) $(if $(SEED),--seed $(SEED))

soak: $(RUN_STAMP) $(NPM_STAMP) ## see that memory stays flat under load; draws docs/memory.svg: MINUTES=10 RATE=200
	@$(PY) -m soak --minutes $(or $(MINUTES),10) --rate $(or $(RATE),200)

fuzz: $(FUZZ_STAMP) ## fuzz what decodes strangers' bytes for SECONDS (60); wheels are for Linux on x86-64
	$(PY) -m fuzz $(SECONDS)

bench: $(BENCH_STAMP) $(PEERS_STAMP) $(NPM_STAMP) ## measure against targets and peers, shortened; ONLY=latency,cost ROUNDS=3 SCALE=1 to publish
	@$(PY) -m benchmarks $(foreach name,$(subst $(COMMA), ,$(ONLY)),--only $(name)) \
	  --rounds $(or $(ROUNDS),1) --scale $(or $(SCALE),0.1)

screenshots: $(DEV_STAMP) $(NPM_STAMP) ## take the pictures in docs/screenshots anew (needs Chromium)
	@$(PY) -m screenshots

peers: $(PEERS_STAMP) ## install what the Python systems of benchmarks/peers need

audit: $(AUDIT_STAMP) $(NPM_STAMP) ## ask whether a locked dependency is known to be vulnerable
	$(PY) .ci/audit.py --pip-audit $(VENV)/bin/pip-audit --npm $(NPM)

lint: $(DEV_STAMP) ## ruff check, ruff format --check, mypy --strict
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy $(wildcard $(CODE))

format: $(DEV_STAMP) ## let ruff fix and format the code
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

lock: ## compile requirements/*.txt anew from pyproject.toml (needs uv)
	$(COMPILE) --group dev pyproject.toml -o requirements/dev.txt
	$(COMPILE) -c requirements/dev.txt pyproject.toml -o requirements/run.txt
	$(COMPILE) -c requirements/dev.txt --group pyproject.toml:build -o requirements/build.txt
	$(COMPILE) --group pyproject.toml:node -o requirements/node.txt
	$(COMPILE) -c requirements/dev.txt --group pyproject.toml:fuzz -o requirements/fuzz.txt
	$(COMPILE) -c requirements/dev.txt --group pyproject.toml:audit -o requirements/audit.txt
	$(COMPILE) -c requirements/dev.txt --group pyproject.toml:peers -o requirements/peers.txt
	$(COMPILE) -c requirements/dev.txt --group pyproject.toml:bench -o requirements/bench.txt

clean: ## remove what make built (.venv, node_modules, caches); data in .voketag stays
	rm -rf $(VENV) $(PEERS) node_modules build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .fuzz
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV_STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "VokeTag needs Python 3.11 or newer and '$(PYTHON)' is not: say make PYTHON=python3.12 or the like." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make a virtual environment: on Debian or Ubuntu, apt install python3-venv." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(RUN_STAMP): requirements/build.txt requirements/run.txt pyproject.toml | $(VENV_STAMP)
	$(LOCKED) requirements/build.txt
	$(LOCKED) requirements/run.txt
	$(PIP_INSTALL) --no-deps --no-build-isolation --no-index -e .
	@touch $@

$(DEV_STAMP): requirements/dev.txt $(RUN_STAMP)
	$(LOCKED) requirements/dev.txt
	@touch $@

$(FUZZ_STAMP): requirements/fuzz.txt $(RUN_STAMP)
	$(LOCKED) requirements/fuzz.txt
	@touch $@

$(BENCH_STAMP): requirements/bench.txt $(RUN_STAMP)
	$(LOCKED) requirements/bench.txt
	@touch $@

$(AUDIT_STAMP): requirements/audit.txt | $(VENV_STAMP)
	$(LOCKED) requirements/audit.txt
	@touch $@

$(PEERS_STAMP): requirements/build.txt requirements/peers.txt | $(VENV_STAMP)
	$(PYTHON) -m venv $(PEERS)
	$(PEERS_INSTALL) requirements/build.txt
	$(PEERS_INSTALL) requirements/peers.txt
	@touch $@

$(VENV)/.stamp-node: requirements/node.txt | $(VENV_STAMP)
	$(LOCKED) requirements/node.txt
	@touch $@

$(NPM_STAMP): package.json package-lock.json $(NODE_STAMP)
	$(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
