# make quickstart | test | check | bench; each builds .venv first if it is not there.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quickstart test check format clean

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nmt needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,plot,export]'
	@touch $@

quickstart: .venv/ready
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
	@echo "  $(BIN)/nmt recipes copy quickstart mine.yaml            # your own data: edit corpus:"

test: .venv/ready
	$(BIN)/python -m pytest

check: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv runs prepared
