# Two commands are enough: `make run` and `make test`. The rest is for those who change the code.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Without compiled files every start compiles anew, hypothesis and all.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: run test quick check lint types format snapshots screenshots keys bench truth soak kits green
.PHONY: clean shipped docs release-check pins

run: $(READY)
	@$(BIN)/wakedeck $(ARGS)

test: $(READY)
	@$(BIN)/python -m pytest $(ARGS)

# What answers within a minute: lint, the fast unit and pilot tests, and types beside them.
quick: lint
	@$(BIN)/mypy > .types.txt & types=$$!; \
	$(BIN)/python -m pytest tests/unit tests/pilot -m "not slow" $(ARGS); tests=$$?; \
	wait $$types || { cat .types.txt; exit 1; }; exit $$tests

$(READY): pyproject.toml constraints.txt hashes.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Wakedeck needs Python 3.11 or newer; try: make PYTHON=python3.12")'
	@echo "Preparing a private environment in $(VENV) (once)…"
	@$(PYTHON) -m venv $(VENV)
	@if [ -s constraints.txt ]; then $(PIP) --require-hashes --requirement hashes.txt && \
	  $(PIP) --no-deps --no-build-isolation --editable .; else $(PIP) --editable '.[dev]'; fi
	@touch $(READY)

check: lint types

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --cache-dir .ruff_cache/imports > .imports.txt || (cat .imports.txt; false)

types: $(READY)
	@$(BIN)/mypy

format: $(READY)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# Look at every picture before you commit what this writes.
snapshots: $(READY)
	@$(BIN)/python -m pytest tests/snapshot --snapshot-update -n 0

screenshots: $(READY)
	@$(BIN)/python -m tests.support.screenshots
	@$(BIN)/python -m tests.support.storyboard

keys: $(READY)
	@$(BIN)/python -m tests.support.keys_reference

# Manual pages and completions that a wheel ships, from the parser itself.
shipped: $(READY)
	@$(BIN)/python -m tests.support.shipped

# The documents as a site, in build/site; a link that leads nowhere fails it.
docs: $(READY)
	@PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@rm -rf build/pages && mkdir -p build/pages && git ls-files -z '*.md' docs screenshots | xargs -0 cp --parents -t build/pages
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

# Everything docs/releasing.md asks of a release that a machine can see.
release-check: $(READY)
	@$(BIN)/python -m tests.support.release $(ARGS)

# The real components the tests run against, fetched once into the user's cache.
kits: $(READY)
	@$(BIN)/python -m tests.support.kits

# Clean clones tested in every way that once failed; a log remembers what is done.
green: $(READY)
	@$(BIN)/python -m tests.support.green $(ARGS)

bench: $(READY)
	@$(BIN)/python -m tests.bench

# What is shown and told, held against what is true while the world is broken at random.
truth: $(READY)
	@$(BIN)/python -m tests.bench.truth $(ARGS)

soak: $(READY)
	@$(BIN)/python -m tests.soak $(ARGS)

# hashes.txt: what `make run` and `make test` install, in the versions of constraints.txt, for every
# Python and system, with the hashes of their files.
pins:
	@$(PYTHON) -m venv .pins
	@.pins/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9'
	@.pins/bin/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --quiet \
	  --generate-hashes --no-annotate --no-emit-index-url --constraints constraints.txt --output-file hashes.txt $(ARGS) \
	  --custom-compile-command "make pins"
	@rm -rf .pins

clean:
	rm -rf .pins $(VENV) .mypy_cache .ruff_cache .pytest_cache
