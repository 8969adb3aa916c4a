# The two commands: `make run` measures the embedded simulator, `make test` checks everything.
# Both start from nothing but Python 3.11 and set up .venv once (again when pyproject.toml changes).
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python -m
PIP := $(PY) pip --quiet --disable-pip-version-check
TORCH := .venv-torch
LITELLM := .venv-litellm
PYTHONS := $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11)
# Three passes: tests that time nothing share the processors; those marked paced mostly wait, three at a time; those
# marked alone run one after the other. Where ARGS leaves a pass without a test (pytest exits with 5), the others decide.
NONE := $(if $(ARGS),|| test $$? -eq 5)
SHARED := --pass shared --numprocesses logical --maxprocesses 4 --dist loadfile
PACED := --pass paced --numprocesses 3 --dist worksteal
ALONE := --pass alone
FIT := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))

.PHONY: run test test-all coverage check bench sample transformers litellm clean help

run: $(VENV)/.run  ## bench run: measure the embedded simulator and show the report (ARGS="text --pairs 100")
	@$(PY) bench run $(ARGS)

test: check  ## formatter, linter, types and every test that is not slow
	@$(PY) pytest $(SHARED) -m "not slow" $(ARGS) $(NONE)
	@$(PY) pytest $(ALONE) --pass paced -m "not slow" $(ARGS) $(NONE)
	@echo 'Left out: the slow tests. All of them: make test-all'

test-all: check  ## the same with every test; those that need node, nginx, LiteLLM or transformers skip without it
	@$(PY) pytest $(SHARED) $(ARGS) $(NONE)
	@$(PY) pytest $(PACED) $(ARGS) $(NONE)
	@$(PY) pytest $(ALONE) $(ARGS) $(NONE)

coverage: $(VENV)/.dev  ## lines of bench/ and plugins/ that tests run, in whatever process: build/coverage/index.html
	@rm -rf build/coverage && mkdir -p build/coverage
	@$(PY) coverage run -m pytest $(SHARED) $(ARGS) $(NONE)
	@$(PY) coverage run -m pytest $(PACED) $(ARGS) $(NONE)
	@$(PY) coverage run -m pytest $(ALONE) $(ARGS) $(NONE)
	@$(PY) coverage combine --quiet
	@$(PY) coverage html --quiet --directory build/coverage
	@$(PY) coverage report

check: $(VENV)/.dev  ## formatter, linter, imports between the rooms, and types alone
	@$(PY) ruff format --check .
	@$(PY) ruff check .
	@$(BIN)/lint-imports
	@$(PY) mypy

bench: $(VENV)/.dev  ## how fast the hot paths are (pytest-benchmark)
	@$(PY) pytest tests/benchmarks --benchmark-enable --benchmark-only $(ARGS)

sample: $(VENV)/.run  ## make reports/sample anew
	@rm -rf build/sample
	@$(PY) bench run --seed 1 --name sample --out build/sample
	@rm -rf reports/sample && mv build/sample/* reports/sample

transformers: $(TORCH)/.installed  ## .venv-torch: transformers serve (1.2 GB), for the tests against a real model

litellm: $(LITELLM)/.installed  ## .venv-litellm: LiteLLM's proxy (750 MB), for the tests of a gateway

clean:  ## remove .venv, .venv-torch, .venv-litellm and every cache
	rm -rf $(VENV) $(TORCH) $(LITELLM) .venv-other build dist .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*  ## /\1|/p' Makefile | while IFS='|' read -r name text; do printf 'make %-13s%s\n' "$$name" "$$text"; done

$(VENV)/.run: pyproject.toml | $(BIN)/pip
	@echo 'Installing streambench into $(VENV) (once) ...' >&2
	@$(PIP) install --editable .
	@touch $@

# Dependency groups need pip 25.1.
$(VENV)/.dev: pyproject.toml | $(BIN)/pip
	@echo 'Installing streambench and the tools for its tests into $(VENV) (once) ...' >&2
	@$(PIP) install --upgrade 'pip>=25.1'
	@$(PIP) install --editable . --group dev
	@touch $@ $(VENV)/.run

# Environments of their own: what this project is tested with stays what it asks for.
$(TORCH)/.installed: tests/support/transformers.txt
$(LITELLM)/.installed: tests/support/parts/litellm.txt
$(TORCH)/.installed $(LITELLM)/.installed: | $(BIN)/pip
	@echo 'Installing what is in $< into $(@D) (once) ...' >&2
	@$(BIN)/python -m venv --clear $(@D)
	@$(@D)/bin/python -m pip --quiet --disable-pip-version-check install --requirement $<
	@touch $@

# pip is the last thing that venv makes: where it is, the environment is whole.
$(BIN)/pip:
	@for python in $(PYTHONS); do \
	  if $$python -c '$(FIT)' 2>/dev/null; then exec $$python -m venv --clear $(VENV); fi; \
	done; \
	echo 'make: no Python 3.11 or newer with venv found (tried: $(PYTHONS)). Install it' \
	  '(Debian, Ubuntu: apt-get install python3 python3-venv), or name one: make run PYTHON=/path/to/python3' >&2; \
	exit 1
