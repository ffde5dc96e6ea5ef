# make quickstart | test | test-all [WORKERS=2] | test-precision PRECISION=fp32 | check | format | bench [RUN=RUN] |
#      comparison [JOBS=1] | screenshots [RUNS='RUN ...'] | fuzz [MINUTES=10] | lock | audit; each builds .venv first
#      if it is not there.
# make clean deletes .venv, runs and prepared.
PYTHON ?= python3
BIN := .venv/bin
# else each of the hundreds of processes that tests start compiles nmt_cli anew, and each worker the tests
export PYTHONDONTWRITEBYTECODE :=
PYTEST = $(BIN)/python -m pytest -n $(or $(WORKERS),2) --dist loadfile --no-loadscope-reorder

.PHONY: quickstart test test-all test-precision check format bench comparison screenshots fuzz lock audit clean

# quickstart needs the core alone; tests and checks need developers' tools and the extras, in the same .venv
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.venv/core: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nmt needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(INSTALL) -e .
	@touch $@

.venv/all: .venv/core
	$(INSTALL) -e '.[dev,plot,export,ray,datasets,serve]'
	@touch $@

quickstart: .venv/core
	$(BIN)/nmt train quickstart --resume
	@echo
	@echo "Its test part, translated and scored:"
	@$(BIN)/nmt translate runs/quickstart < runs/quickstart/test.source.txt | $(BIN)/nmt score runs/quickstart/test.target.txt
	@echo
	@echo "Three sentences:"
	@sh examples/three_sentences.sh $(BIN)/nmt runs/quickstart
	@echo
	@echo "Try next:"
	@echo "  $(BIN)/nmt recipes                                      # what else there is to train"
	@echo "  $(BIN)/nmt translate runs/quickstart                    # type English, end with Ctrl-D"
	@echo "  $(BIN)/nmt recipes copy quickstart mine.yaml            # your own data: replace corpus:"

# what takes a few minutes; test-all: everything; test-precision: what uses `precision: auto`, with
# PRECISION=fp32 or bf16 instead of what auto stands for on this machine (the tests say it first)
test: .venv/all
	$(PYTEST) -m "not slow"

test-all: .venv/all
	$(PYTEST) --hypothesis-profile full

test-precision: .venv/all
	NMT_AUTO_PRECISION=$(or $(PRECISION),$(error PRECISION=fp32 or bf16)) $(PYTEST) -m precision

check: .venv/all
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/all
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# the page of nmt serve for docs/serving.md, taken in Chromium. RUNS: trained runs, runs/quickstart if there are none
screenshots: .venv/all
	$(BIN)/python tools/screenshots.py $(RUNS)

# needs NMT_DATA=folder with multi30k/; fills the tables of docs/benchmarks.md. RUN: a trained run
bench: .venv/all
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.translating
	$(if $(RUN),$(BIN)/python -m benchmarks.translating --run $(RUN))
	$(if $(RUN),$(BIN)/python -m benchmarks.starting $(RUN))
	$(if $(RUN),$(BIN)/python -m benchmarks.budget $(RUN))
	$(BIN)/python -m benchmarks.growth
	$(BIN)/python -m benchmarks.report

# takes hours; needs NMT_DATA; resumes where it was interrupted. JOBS: number of parallel trainings
comparison: .venv/all
	$(BIN)/python -m benchmarks.growth
	$(BIN)/python -m benchmarks.comparison.run $(if $(JOBS),--jobs $(JOBS))
	$(BIN)/python -m benchmarks.comparison.speed
	$(BIN)/python -m benchmarks.comparison.scaling
	$(BIN)/python -m benchmarks.comparison.report

# MINUTES each: the readers of recipes, tokenizers, JSON lines and TSV, and translate
fuzz: .venv/all
	$(INSTALL) -e '.[fuzz]'
	$(BIN)/python -m tests.fuzz.run --minutes $(or $(MINUTES),10)

# the versions of constraints.txt with the hashes of all files that the registry publishes for them
lock: .venv/core
	$(BIN)/python -m pip install --quiet 'pip-tools>=7.5'
	$(BIN)/python -m piptools compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header 	  --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-options --constraint constraints.txt 	  --extra plot --output-file .lock pyproject.toml
	{ sed '/^[^#]/,$$d' requirements.lock; cat .lock; } > .lock.new && mv .lock.new requirements.lock && rm .lock

# asks the registry for known vulnerabilities of what is locked; needs the network
audit: .venv/core
	$(BIN)/python -m pip install --quiet 'pip-audit>=2.7'
	$(BIN)/pip-audit --requirement requirements.lock --disable-pip

clean:
	rm -rf .venv runs prepared
