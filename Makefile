# Needs Python 3.10 or newer, make and git; everything else goes into .venv.

PYTHON ?= python3
VENV := .venv

.PHONY: help
help:  ## Show this list
	@echo "make demo   render the template, talk to its example server, look into the database"
	@echo "make test   run all tests of the template (some minutes)"
	@echo "make matrix run the rendered suite on every server, and through a pooler (some minutes)"
	@echo "make lint   check and format-check the template's own Python"
	@echo "make clean  remove .venv and everything else that the above made"
	@echo
	@echo "Another Python than $(PYTHON): make test PYTHON=python3.13 (after make clean)"

.PHONY: demo
demo: $(VENV)/.installed
	$(VENV)/bin/python scripts/demo.py

.PHONY: test
test: $(VENV)/.installed
	scripts/install_servers.sh
	$(VENV)/bin/python -m pytest

.PHONY: matrix
matrix: $(VENV)/.installed
	scripts/install_servers.sh
	$(VENV)/bin/python scripts/matrix.py

.PHONY: lint
lint: $(VENV)/.installed
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy

.PHONY: clean
clean:
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache

# Made last, so that an interrupted installation starts again.
$(VENV)/.installed: requirements-dev.txt requirements-suite.txt
	@command -v git >/dev/null || { \
	  echo "git is missing. Debian, Ubuntu: apt-get install git"; exit 1; }
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) is missing. Debian, Ubuntu: apt-get install python3 python3-venv"; \
	  echo "Under another name: make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "$(PYTHON) is $$($(PYTHON) --version 2>&1), but Python 3.10 or newer is needed."; \
	  echo "Where there is one, name it: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments. Debian, Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
