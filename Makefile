# `make quickstart` and `make test` make .venv and install what they need, once.
PYTHON ?= python3
VENV := .venv
RUN := TF_CPP_MIN_LOG_LEVEL=2 $(VENV)/bin/python
JOBS ?= auto
PIP := PYTHONWARNINGS=ignore $(VENV)/bin/python -m pip install -q --disable-pip-version-check

.PHONY: quickstart test test-jax test-torch lint conformance readme clean

quickstart: $(VENV)/.examples
	$(RUN) -m examples.quickstart $(ARGS)

test: $(VENV)/.examples $(VENV)/.test
	$(RUN) -m pytest -q -n $(JOBS) --dist worksteal $(ARGS)

test-jax: $(VENV)/.test $(VENV)/.examples $(VENV)/.jax
	KERAS_BACKEND=jax JAX_DISABLE_MOST_OPTIMIZATIONS=1 $(RUN) -m pytest -q -n $(JOBS) tests/test_contract.py tests/test_graph.py tests/test_blocks*.py $(ARGS)

# On Linux PyPI's torch is a build for CUDA, of several GB; the one for processors is had before by
# .venv/bin/pip install torch --index-url https://download.pytorch.org/whl/cpu
test-torch: $(VENV)/.test $(VENV)/.examples $(VENV)/.torch
	KERAS_BACKEND=torch $(RUN) -m pytest -q -n $(JOBS) tests/test_contract.py tests/test_graph.py tests/test_blocks*.py $(ARGS)
	$(RUN) -m pytest -q tests/test_torch.py

lint: $(VENV)/.lint
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

# The whole matrix of layers and precisions, some minutes; writes tests/conformance.md and README.md.
conformance: $(VENV)/.test $(VENV)/.examples $(VENV)/.jax
	$(RUN) -m tests.conformance

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(PIP) -e .
	touch $@

$(VENV)/.lint: pyproject.toml | $(VENV)/bin/python
	$(PIP) "$$(sed -n 's/^lint = \["\(.*\)"\]/\1/p' pyproject.toml)"
	touch $@

$(VENV)/.%: $(VENV)/.installed
	$(PIP) -e ".[$*]"
	touch $@

# The tables of README.md that are made of the code.
readme: $(VENV)/.test $(VENV)/.examples
	$(RUN) -m tests.readme

clean:
	rm -rf $(VENV) build dist *.egg-info runs
