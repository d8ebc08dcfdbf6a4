# Two commands do everything on a machine that has Python, git and make:
#   make book    make test
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

# Notebooks run in their own folders, so a path from here would not mean the same there.
# The quoting lets a path hold spaces and quotes.
ifneq ($(strip $(RELVIZ_DATA)),)
  GIVEN := $(RELVIZ_DATA)
  override RELVIZ_DATA := $(shell cd -- '$(subst ','\'',$(GIVEN))' 2>/dev/null && pwd)
  ifeq ($(RELVIZ_DATA),)
    $(error RELVIZ_DATA names "$(GIVEN)", which is not a folder)
  endif
  export RELVIZ_DATA
else
  unexport RELVIZ_DATA
endif
# A backend chosen for a shell would take the figures out of the notebooks.
unexport MPLBACKEND

# So many tests or notebooks run at a time.
JOBS ?= 2
export JOBS

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14
	@echo 'RELVIZ_DATA=FOLDER names recordings; without it the book runs on synthetic speech.'
	@echo 'JOBS=4 runs four tests or notebooks at a time; else it is two.'

.PHONY: install
install: $(INSTALLED) ## make .venv with the locked versions

# Plain pip: other installers do not find every build of torch. Each file must have a SHA-256 that the
# lock lists, and nothing is fetched that it does not name, the build backend among it.
PIP := -m pip install --quiet --disable-pip-version-check --no-deps
LOCKED := $(PIP) --require-hashes -r

# torch's locked version in whatever build is there and loads; else its CPU build, where an index that
# this machine knows has it; else the one of the usual index.
TORCH = $(shell sed -n 's/^torch==\([^ ]*\).*/\1/p' constraints-torch.txt)
HAS_TORCH = -c 'import torch; exit(torch.__version__.partition("+")[0] != "$(TORCH)")'

$(INSTALLED): pyproject.toml constraints.txt constraints-torch.txt constraints-torch-cpu.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python $(HAS_TORCH) 2>/dev/null || \
	  $(BIN)/python $(LOCKED) constraints-torch-cpu.txt 2>/dev/null || \
	  $(BIN)/python $(LOCKED) constraints-torch.txt
	$(BIN)/python $(LOCKED) constraints.txt
	$(BIN)/python $(PIP) --no-build-isolation -e .
	touch $@

.PHONY: book
book: $(INSTALLED) ## execute every chapter and build the book into _build/html
	$(BIN)/python tools/book.py

.PHONY: executed
executed: $(INSTALLED) ## execute every chapter, for the pages to be built later
	$(BIN)/python tools/book.py --execute

.PHONY: lint
lint: $(INSTALLED) ## form and types of the Python code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Each worker stays on one core: no threads of torch's, and no processes where a test asks for one a
# core. The first to be done takes over from the others. nbval, which compares notebooks in a target of
# its own, would take each more than a second to import.
ALONE := OMP_NUM_THREADS=1 LOKY_MAX_CPU_COUNT=1 $(BIN)/python -m pytest -p no:nbval --dist worksteal
PYTEST := $(ALONE) -n $(JOBS)

.PHONY: quick
quick: lint ## lint, types and the fast tests, in a minute: while you write
	env -u RELVIZ_DATA $(PYTEST) $(WITHOUT_PAGES) -m '$(FAST)'

# Sphinx and the kit keep one core busy; the tests of the library run beside them, and what they print
# comes after. Nothing is installed while both run.
BESIDE := _build/beside.log

.PHONY: test
test: $(INSTALLED) ## lint, types, tests, notebooks, the book and its pages
	$(MAKE) --no-print-directory javascript
	$(MAKE) --no-print-directory -j2 lint executed
	nice $(MAKE) --no-print-directory nbval course >$(BESIDE) 2>&1 & \
	built=$$!; \
	trap 'kill $$built $${shown:-} 2>/dev/null || true' EXIT; \
	$(MAKE) --no-print-directory pytest; \
	tail -n +1 -f $(BESIDE) & \
	shown=$$!; \
	wait $$built; \
	sleep 1
	$(LOOK)

# What a shell allows to one thread would hold for the commands that are measured, too.
.PHONY: bench
bench: $(INSTALLED) ## measure speed beside peers, within 5 minutes, for the book's page on it
	env -u OMP_NUM_THREADS $(BIN)/python -m benchmarks --out book/appendix/speed/measured.csv
	$(BIN)/python tools/notebooks.py book/appendix/speed.ipynb

.PHONY: javascript
javascript: $(INSTALLED) ## form, types and length of the scripts, and their tests without a browser
	$(BIN)/python tools/javascript.py

# The built pages have tests of their own, which need the book and its kit: see the target pages.
KIT := tests/teaching/test_kit.py
PAGES := $(addprefix tests/book/test_,pages.py sounds.py browser.py explorers.py live.py knob.py front.py weight.py print.py) $(KIT)
WITHOUT_PAGES := $(addprefix --ignore=,$(PAGES))
FAST := not slow and not realdata

# Only tests marked for recordings see those that RELVIZ_DATA names; see tests/conftest.py.
.PHONY: pytest
pytest: $(INSTALLED) ## the tests of the library, its examples, and the notebooks as files
	$(PYTEST) --durations=20 --doctest-modules tests relviz $(WITHOUT_PAGES)

# Chapters are executed once, for the book, and nbval compares what they gave there.
# It takes a notebook without outputs for a pass; tests/book/test_notebooks.py forbids that.
# Warnings are a notebook's own affair here, so they are not errors.
NOTEBOOKS := $(shell find book -name '*.ipynb' -not -path '*/.*' | sort)

.PHONY: nbval
nbval: book ## compare the outputs of the book's chapters that are marked for it
ifneq ($(NOTEBOOKS),)
	$(BIN)/python -m pytest -p tools.executed --nbval-lax -o filterwarnings=default $(NOTEBOOKS)
endif

# Browsers wait more than they compute, so one more runs at a time.
LOOK = $(ALONE) -n $$(($(JOBS) + 1)) --durations=20 $(PAGES)

.PHONY: pages
pages: book ## build the book and test its pages
	$(LOOK)

.PHONY: notebooks
notebooks: $(INSTALLED) ## execute the committed notebooks in place, keeping text outputs only
	$(BIN)/python tools/notebooks.py $(NOTEBOOKS)

.PHONY: rendered
rendered: book ## write the notebooks that Binder and Colab open into notebooks/
	$(BIN)/python tools/rendered.py

.PHONY: screenshots
screenshots: book ## pictures of every page, wide and narrow, in _build/screenshots
	$(BIN)/python tools/screenshots.py _build/screenshots

.PHONY: links
links: $(INSTALLED) ## look at every external address of the book (needs the internet)
	$(BIN)/python tools/links.py

.PHONY: lock
lock: $(INSTALLED) ## write the locks and environment.yml; UPGRADE=1 chooses all versions anew
	UPGRADE=$(UPGRADE) $(BIN)/python tools/lock.py

.PHONY: audit
audit: ## ask whether weaknesses are known of the locked versions (needs the internet)
	test -x _build/audit/bin/python || $(PYTHON) -m venv _build/audit
	_build/audit/bin/python $(LOCKED) tools/requirements/audit.txt
	_build/audit/bin/pip-audit --strict --progress-spinner off --disable-pip \
	  $(addprefix -r ,constraints.txt constraints-torch.txt $(wildcard tools/requirements/*.txt))

.PHONY: clean
clean: ## remove what was built; .venv stays
	rm -rf _build dist .pytest_cache .mypy_cache .ruff_cache

# The teaching kit stands on the executed chapters; a page of the book links to it.
pages: course

.PHONY: course
course: book ## build the teaching kit into _build/course: slides, quizzes, assignments, handouts
	$(BIN)/python tools/course.py

.PHONY: kit
kit: course ## build the teaching kit and test its pages
	$(BIN)/python -m pytest $(KIT)
