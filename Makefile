# Everything from nothing, with python3 and make alone: `make demo`, `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test lint bench compat readme install clean

demo: install
	$(BIN)/compile-ledger demo -o demo.db

test: install lint
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

# Ratios against peers measured in the same run; see tests/benchmarks.
bench: install
	$(BIN)/python tests/benchmarks/run.py

# Takes the signatures that the hooks rest on from torch's real sources again (downloads two wheels).
compat: install
	$(BIN)/python tests/torch_compat/take.py
	$(BIN)/python -m pytest tests/test_torch_compat.py

# Records the demo anew and shows it in the README.
readme: install
	$(BIN)/python tests/take_demo.py
	UPDATE_README=1 $(BIN)/python -m pytest tests/test_readme.py

install: $(INSTALLED)

# pip, not uv: torch is pinned in constraints.txt, and any newer one brings gigabytes of CUDA along.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[torch]" --group dev
	touch $@

clean:
	rm -rf $(VENV)
