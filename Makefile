# Everything works in .venv with the versions locked in constraints.txt. `make demo` and `make test` need nothing but
# Python 3.11 or newer. PIP_ARGS reaches pip, for example to choose PyTorch's CPU or CUDA build (see README).
PYTHON ?= python3
PIP_ARGS ?=
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: help demo study-demo test bench check clean

help:
	@echo "make demo         train a tiny model on the synthetic corpus, test it on unseen voices, draw the report"
	@echo "make study-demo   a whole study on a made-up MSP-Podcast, to the challenge's files, in under 10 minutes"
	@echo "make test         run the test suite"
	@echo "make bench        speed and memory against transformers, about half an hour on an idle machine with 24 GB"
	@echo "make check        ruff, pyright, import-linter, codespell"

# torch first and by itself: a later package could otherwise pull in another build of it
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet $(PIP_ARGS) --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $(INSTALLED)

demo: $(INSTALLED)
	PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/demo/run.sh

study-demo: $(INSTALLED)
	PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/study/run.sh

test: $(INSTALLED)
	$(BIN)/python -m pytest -n auto --dist loadgroup

bench: $(INSTALLED)
	$(BIN)/python benchmarks/speed.py runs/bench

check: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports --no-logo
	$(BIN)/codespell

clean:
	rm -rf .venv runs
