# Needs Python 3.11 or newer, make and git; everything else goes into .venv.

PYTHON ?= python3
VENV := .venv
# Modules are compiled when they are first imported: many never are.
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile
# What the drivers of each database need, and what the tests need beside them.
DATABASES := $(wildcard choices/database/*/testing/requirements.txt)
# The tests start hundreds of processes, each of which would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help:  ## Show this list
	@echo "make demo   render the template, talk to its example server, look into the database"
	@echo "make test   run all tests of the template, and the promises of each flavor (some minutes)"
	@echo "make guides follow each page of the documentation, and take the Store into an application"
	@echo "make matrix run the full suite on every server, much of it through a pooler, and old code on newer tables"
	@echo "make cluster   replace servers, make them read-only, cut networks, and take nodes away from clusters"
	@echo "make buckets   test attachments on buckets of S3 and Azure, and in a browser"
	@echo "make updates   update projects that hold data, on each database"
	@echo "make fuzz   send the example server what no client would, for some minutes"
	@echo "make mutants   break the rendered Store in many ways, and see the rendered suite notice each"
	@echo "make patterns  run the suite on Stores as people publish them, and write what it says into the docs"
	@echo "make examples  render each flavor into docs/examples"
	@echo "make picture   draw the terminal of the README again"
	@echo "make bench     measure the Store beside the driver and what others use (BENCH=--quick: some minutes)"
	@echo "make docs      build the documentation as a site, in build/site"
	@echo "make release VERSION=1.2.0   check and commit a release; CONTRIBUTING.md says how"
	@echo "make lint   check the template's own Python: ruff and mypy"
	@echo "make clean  remove .venv and everything else that the above made"
	@echo
	@echo "Another Python than $(PYTHON): make test PYTHON=python3.13 (after make clean)"

.PHONY: demo
demo: $(VENV)/.installed
	$(VENV)/bin/python -m scripts.demo

.PHONY: test
test: $(VENV)/.installed
	scripts/install_servers.sh
	$(VENV)/bin/python -m pytest

.PHONY: cluster
cluster: $(VENV)/.installed
	scripts/install_servers.sh
	$(VENV)/bin/python -m pytest -m cluster -n 2

.PHONY: fuzz
fuzz: $(VENV)/.installed
	scripts/install_servers.sh
	$(VENV)/bin/python -m pytest -m fuzz

.PHONY: guides
guides: $(VENV)/.installed
	scripts/install_servers.sh
	$(VENV)/bin/python -m pytest -m guides

.PHONY: buckets
buckets: $(VENV)/.installed
	scripts/install_servers.sh chromium npm
	$(VENV)/bin/python -m pytest -m buckets

.PHONY: updates
updates: $(VENV)/.installed
	scripts/install_servers.sh
	$(VENV)/bin/python -m pytest -m updates

.PHONY: matrix
matrix: $(VENV)/.installed
	scripts/install_servers.sh
	$(VENV)/bin/python -m scripts.matrix

.PHONY: mutants
mutants: $(VENV)/.installed
	scripts/install_servers.sh
	$(VENV)/bin/python -m scripts.try_mutants

.PHONY: patterns
patterns: $(VENV)/.installed
	$(VENV)/bin/python -m scripts.patterns --write

.PHONY: examples
examples: $(VENV)/.installed
	$(VENV)/bin/python -m scripts.examples --write

.PHONY: picture
picture: $(VENV)/.installed
	$(VENV)/bin/python -m scripts.picture

# What to measure: make bench BENCH="--quick --only asyncpg"
BENCH :=

.PHONY: bench
bench: $(VENV)/.bench
	scripts/install_servers.sh
	$(VENV)/bin/python -m benchmarks $(BENCH)

.PHONY: docs
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet

.PHONY: lint
lint: $(VENV)/.installed
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy

.PHONY: release
release: $(VENV)/.installed
	$(VENV)/bin/python -m scripts.release $(VERSION)

.PHONY: clean
clean:
	rm -rf $(VENV) build .cache .mypy_cache .ruff_cache .pytest_cache

# Made last, so that an interrupted installation starts again.
$(VENV)/.installed: requirements-dev.txt requirements-suite.txt $(DATABASES)
	@command -v git >/dev/null || { \
	  echo "git is missing. Debian, Ubuntu: apt-get install git"; exit 1; }
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) is missing. Debian, Ubuntu: apt-get install python3 python3-venv"; \
	  echo "Under another name: make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is $$($(PYTHON) --version 2>&1), but Python 3.11 or newer is needed."; \
	  echo "Where there is one, name it: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments. Debian, Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
# Older ones take much longer.
	$(PIP) 'pip==26.3'
	$(PIP) \
	  $(addprefix -r ,requirements-dev.txt $(DATABASES))
	@touch $@

$(VENV)/.bench: $(VENV)/.installed requirements-bench.txt
	$(PIP) -r requirements-bench.txt
	@touch $@

$(VENV)/.docs: $(VENV)/.installed requirements-docs.txt
	$(PIP) -r requirements-docs.txt
	@touch $@
