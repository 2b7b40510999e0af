# Everything a fresh machine needs: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test slow lint bench mutants clean

demo: $(READY)
	$(BIN)/naslab compare pocket-cell/mnist pocket-mlp/mnist pocket-mlp/segments \
	  nasbench201/cifar10 nasbench201/cifar100 nasbench201/imagenet16-120 \
	  --optimizers random,regularized-evolution,local-search,reinforce,optuna-tpe \
	  --budget 150 --seeds 20 --workers 2 --out runs/demo

test: $(READY)
	$(BIN)/pytest -n 2

slow: $(READY)
	$(BIN)/pytest -m slow

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

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
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
