# Needs only make and Python 3.11 to 3.13; another Python: make test PYTHON=python3.12
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/installed
REQUIREMENTS := requirements.txt requirements-dev.txt requirements-lock.txt
# What also runs on macOS and Windows, whose Python lacks much of what Linux's has.
EVERYWHERE := serving/client serving/gallery serving/deploy serving/command.py serving/errors.py \
  datasets/camera_names.py $(filter-out datasets/files/locks.py,$(wildcard datasets/files/*.py))
DOCS_VENV := .venv-docs
DOCS_STAMP := $(DOCS_VENV)/installed

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo demo-cameras test lint pytest serving-smoke bench speed docs figures clean

help:
	@echo "make demo    train on the built-in toy data, evaluate, print a table"
	@echo "make demo-cameras    your own cameras, on drawn pictures: from a folder of crops to a page of results"
	@echo "make test    lint, then run the tests; some of them: TESTS=tests/paper/losses_test.py"
	@echo "make serving-smoke ARN_SERVING_ADDRESS=localhost:8500   the client's tests against a server that runs"
	@echo "make lint    style, formatting, types, and imports that only go down"
	@echo "make bench   measure speed, half an hour on an idle machine; BENCH=ranking,serving PICTURES=crops/ TORCH=PYTHON"
	@echo "make speed   write what make bench found into docs/speed.md, draw its charts"
	@echo "make docs    build the documentation in site/, links checked"
	@echo "make figures draw its charts anew, from docs/results.json and docs/speed.json"
	@echo "make clean   remove the environments, the site and caches; runs and data stay"

demo: $(STAMP)
	$(RUN) -m arn_tf.demo

demo-cameras: $(STAMP)
	$(RUN) -m arn_tf.demo_cameras

test: lint pytest

lint: $(STAMP)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(RUN) -m mypy --platform=win32 --cache-dir=.mypy_cache/win32 --follow-imports=silent $(EVERYWHERE)
	$(RUN) -m mypy --platform=darwin --cache-dir=.mypy_cache/darwin --follow-imports=silent $(EVERYWHERE)
	$(VENV)/bin/lint-imports --no-cache --no-logo

pytest: $(STAMP)
	$(RUN) -m pytest $(or $(TESTS),-n 2 --dist=loadfile --no-loadscope-reorder)

serving-smoke: $(STAMP)
	@test -n "$(ARN_SERVING_ADDRESS)" || { \
	  echo "name the server's gRPC port: make serving-smoke ARN_SERVING_ADDRESS=localhost:8500" >&2; exit 1; }
	ARN_SERVING_ADDRESS=$(ARN_SERVING_ADDRESS) $(RUN) -m pytest tests/serving/server/suite_test.py

bench: $(STAMP)
	$(RUN) -m benchmarks $(if $(BENCH),"--only=$(BENCH)") $(if $(PICTURES),"--pictures=$(PICTURES)") \
	  $(if $(TORCH),"--torch=$(TORCH)")

speed: $(STAMP) $(DOCS_STAMP)
	$(RUN) -m docs.speed runs/bench
	$(DOCS_VENV)/bin/python -m docs.speed_figures

docs: $(DOCS_STAMP)
	@NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/mkdocs build --strict --quiet
	@echo "site/index.html is the start page; python3 -m http.server -d site serves it, search included"

figures: $(DOCS_STAMP)
	$(DOCS_VENV)/bin/python -m docs.figures
	$(DOCS_VENV)/bin/python -m docs.speed_figures

# The pinned NumPy begins at 3.11, TensorFlow 2.21 ends at 3.13.
define CHECK_PYTHON
@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
	  echo "$(PYTHON) must be Python 3.11 to 3.13: name one, as in make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
	  echo "$(PYTHON) lacks venv or pip: install them (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
endef

$(DOCS_STAMP): requirements-docs.txt
	$(CHECK_PYTHON)
	@echo "Installing into $(DOCS_VENV)"
	@$(PYTHON) -m venv --clear $(DOCS_VENV)
	@$(DOCS_VENV)/bin/python -m pip install --quiet -r requirements-docs.txt
	@touch $@

# The stamp is written last: an interrupted installation starts anew.
$(STAMP): $(REQUIREMENTS)
	$(CHECK_PYTHON)
	@echo "Installing into $(VENV); this takes a few minutes the first time"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(RUN) -m pip install --quiet -r requirements-dev.txt -r requirements-lock.txt
	@touch $@

clean:
	rm -rf $(VENV) $(DOCS_VENV) site .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
