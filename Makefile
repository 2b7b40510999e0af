# Everything a fresh machine needs: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test slow lint docs dist bench mutants clean

demo: $(READY)
	$(BIN)/naslab compare pocket-cell/mnist pocket-mlp/mnist pocket-mlp/segments \
	  nasbench201/cifar10 nasbench201/cifar100 nasbench201/imagenet16-120 \
	  --optimizers random,regularized-evolution,local-search,reinforce,optuna-tpe \
	  --budget 150 --seeds 20 --workers 2 --out runs/demo

# Compiled files are kept even where the environment forbids it: each of the processes that tests start saves half a second.
# A worker has whole files of tests, for what these share, until one has nothing left to do.
test: $(READY)
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n 2 --dist worksteal

slow: $(READY)
	$(BIN)/pytest -m slow

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(READY)
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build

# A source archive, a wheel made of it, and a new environment without the repository that does what docs/index.md says.
CLEAN := $(CURDIR)/build/clean
dist: $(READY)
	rm -rf dist $(CLEAN)
	$(BIN)/python -c "from setuptools.build_meta import build_sdist; build_sdist('dist')"
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist dist/*.tar.gz
	$(PYTHON) -m venv $(CLEAN)
	$(CLEAN)/bin/pip install --quiet --constraint constraints.txt dist/*.whl
	mkdir $(CLEAN)/elsewhere
	sed -n '/^```sh$$/,/^```$$/{/^```/!p}' docs/index.md > $(CLEAN)/page.sh
	sed -n '/^```python$$/,/^```$$/{/^```/!p}' docs/index.md > $(CLEAN)/page.py
	cd $(CLEAN)/elsewhere && export PATH=$(CLEAN)/bin:$$PATH NASLAB_CACHE=$(CLEAN)/cache PYTHONPATH= && \
	  sh -e ../page.sh && python ../page.py

bench: $(READY)
	$(BIN)/python benchmarks/import_time.py
	$(BIN)/python benchmarks/search_loop.py
	$(BIN)/python benchmarks/supernet_step.py
	$(BIN)/python benchmarks/population_training.py
	$(BIN)/python benchmarks/feasibility.py
	$(BIN)/python benchmarks/zero_cost.py
	$(BIN)/python benchmarks/predictors.py

# A sample of small errors, each of which a test must notice: about an hour of one core.
mutants: $(READY)
	$(BIN)/python benchmarks/mutants.py --per-file 15 --seed 0

# setuptools is installed first and used as it is, so that the build is pinned, too.
$(READY): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt setuptools
	$(BIN)/pip install --quiet --constraint constraints.txt --no-build-isolation --editable ".[dev]"
	touch $(READY)

clean:
	rm -rf .venv build dist docs/_build docs/site/api *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
