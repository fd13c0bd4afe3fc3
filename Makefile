# Every target makes the environment it needs first; only python3 (3.11 or newer) has to be there.
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2

BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTEST := $(BIN)/python -m pytest
# A file at a time, in the order of tests/conftest.py.
SHARED := --dist loadfile --no-loadscope-reorder
export TF_CPP_MIN_LOG_LEVEL ?= 2
# As many processes as cores run at once; threads of their own would only wait for one another.
export TF_NUM_INTRAOP_THREADS ?= 1
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint format doctest test-federated benchmarks docs site notebooks clean

help:  ## list what there is to make
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{printf "  make %-15s %s\n", $$1, $$2}'

demo: $(READY)  ## carry a pretrained encoder over to handwritten digits, export it, write demo_report.html
	$(BIN)/tf-transfer demo

test: lint doctest  ## lint, doctests, tests and tutorials, without the slow ones
	$(PYTEST) -m "not slow" -n $(WORKERS) $(SHARED)

test-all: lint doctest  ## the same and the slow ones
	$(PYTEST) -n $(WORKERS) $(SHARED)

test-federated:  ## federated learning with Flower and dp-accounting, in an environment of its own
	@test -x $(VENV)-federated/bin/python || $(PYTHON) -m venv $(VENV)-federated
	$(VENV)-federated/bin/python -m pip install --quiet --disable-pip-version-check --use-pep517 \
	  -e '.[federated,privacy]' 'pytest>=8'
	$(VENV)-federated/bin/python -m pytest tests/federated

lint: $(READY)  ## style and house rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY)  ## let ruff lay the code out
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

doctest: $(READY)  ## the examples in the docstrings
	$(PYTEST) --doctest-modules -n $(WORKERS) $(SHARED) tf_transfer

benchmarks: $(READY)  ## run every benchmark on TF_TRANSFER_DATA (hours; stops and resumes), then the tables
	@set -e; for script in $(filter-out %/common.py %/tables.py,$(wildcard benchmarks/*.py)); do \
	  echo "$$script"; $(BIN)/python "$$script"; done
	$(MAKE) docs

docs: $(READY)  ## render the tables of docs/ from the results of the benchmarks, and the chooser from its rules
	$(BIN)/python benchmarks/tables.py
	$(BIN)/python docs/site/chooser.py

site:  ## build the documentation into site/, tutorials executed, in an environment of its own
	@test -x $(VENV)-docs/bin/python || $(PYTHON) -m venv $(VENV)-docs
	$(VENV)-docs/bin/python -m pip install --quiet --disable-pip-version-check --use-pep517 -c constraints.txt \
	  -e '.[docs,onnx,ot,serving,weighting]'
	$(VENV)-docs/bin/python docs/site/assemble.py build/site/pages
	$(VENV)-docs/bin/python -m sphinx -W --keep-going -b html -c docs/site -d build/site/doctrees build/site/pages site

notebooks: $(READY)  ## make tutorials/*.ipynb from tutorials/*.py
	$(BIN)/jupytext --to ipynb tutorials/*.py

clean:  ## remove the environments and everything that was made
	rm -rf $(VENV) $(VENV)-docs $(VENV)-federated build dist site jupyter_execute *.egg-info .pytest_cache .ruff_cache demo_report.html tutorials/*.ipynb
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): setup.cfg constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "tf-transfer needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." \
	         "Say which one to use: make PYTHON=python3.12 ..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --use-pep517 -c constraints.txt -e '.[test]'
	@touch $@
