.DEFAULT_GOAL := run
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed

.PHONY: run test check format docs clean

run: $(STAMP)  ## set up, measure the embedded simulator, show the report
	$(VENV)/bin/bench run

test: $(STAMP)  ## set up, then formatter, linter, types and every test
	$(VENV)/bin/python -m pytest
