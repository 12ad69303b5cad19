# make test           the whole test suite, in network namespaces (as root or as an ordinary user)
# make pythons        the unit tests on other Pythons
# make demo           both articles, played with the real salt-call
# make bench          the figures of the README
# make pictures       draw the README's pictures anew
# make mutants        which small mistakes in the pure rooms do the unit tests not notice?
#                     COUNT=100 SEED=1 ROOMS="plan rules" choose them
# make lint           ruff, mypy, salt-lint, yamllint
# make changelog      what the next release's changelog says; VERSION=1.2.3 writes it
# make test SALT=3006 the same against another Salt release; PYTEST="-k route" chooses tests
PYTHON ?= python3
SALT ?= 3008
VENV ?= .venv-$(SALT)
PYTEST ?=
COUNT ?= 100
SEED ?= 1
ROOMS ?=

READY = $(VENV)/ready
IN_LAB = sh tests/lab/enter.sh
SOURCES = _modules _states _utils _wrapper tests bench

.PHONY: test pythons demo bench pictures mutants changelog format clean
.PHONY: lint lint-python lint-types lint-states lint-yaml

test: $(READY)
	$(IN_LAB) $(VENV)/bin/python -m pytest $(PYTEST)

# On each other Python from 3.10 to 3.14 that is to be had.
pythons: $(READY)
	sh tests/pythons.sh $(VENV)/bin/python

demo: $(READY)
	$(IN_LAB) $(VENV)/bin/python tests/lab/demo.py

bench: $(READY)
	$(IN_LAB) $(VENV)/bin/python bench/run.py

pictures: $(READY)
	PYTHONPATH=_utils $(IN_LAB) $(VENV)/bin/python tests/lab/pictures.py

mutants: $(READY)
	nice $(VENV)/bin/python tests/mutants.py --count $(COUNT) --seed $(SEED) $(ROOMS)

lint: lint-python lint-types lint-states lint-yaml

lint-python: $(READY)
	$(VENV)/bin/ruff check $(SOURCES)
	$(VENV)/bin/ruff format --check $(SOURCES)

lint-types: $(READY)
	$(VENV)/bin/mypy _utils

lint-states: $(READY)
	$(VENV)/bin/salt-lint states/multihoming/init.sls

lint-yaml: $(READY)
	$(VENV)/bin/yamllint --strict pillar.example .yamllint .pre-commit-config.yaml

format: $(READY)
	$(VENV)/bin/ruff check --fix $(SOURCES)
	$(VENV)/bin/ruff format $(SOURCES)

# The version stands there alone.
changelog: $(READY)
	$(if $(VERSION),sed -i 's/^VERSION = .*/VERSION = "$(VERSION)"/' _utils/multihoming_version.py)
	$(VENV)/bin/towncrier build $(if $(VERSION),--yes --version $(VERSION),--draft --version next)

$(READY): pyproject.toml tests/setup.sh
	sh tests/setup.sh $(VENV) $(SALT) $(PYTHON)
	touch $@

clean:
	rm -rf .venv-* .pytest_cache .mypy_cache .ruff_cache .hypothesis
