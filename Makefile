# make demo    the main job on data that ships with a dependency
# make test    the whole test suite; `make fast` leaves out what is slow, `make slow` what is fast
# make check   lint, format, types, and the coverage of the fast tests
# make docs    the documentation as a site, in docs/_build/html; a warning is an error
# make bench   the benchmarks, on scikit-learn's own data (DATA=DIR for more)
# make pictures  the pictures of the README and the documentation, by the browser test
# make lock    resolve the dependencies anew
# make gpu     put the GPU builds in the place of the CPU builds

PYTHON ?= python3
BIN := .venv/bin
# Two processes on two cores, a thread each; compiled tests are kept, which saves a fifth of the time.
THREADS := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1
TEST := PYTHONDONTWRITEBYTECODE= $(THREADS) $(BIN)/python -m pytest -n 2 --dist worksteal -rs

# Tests and benchmarks are checked without the demand that each function of theirs declares its types.
LENIENT := --allow-untyped-defs --allow-incomplete-defs --allow-untyped-calls --disable-error-code union-attr
# The share of lines and branches that the fast tests cover, in percent, may not fall below this.
COVERAGE := 80

.PHONY: demo test fast slow check docs bench pictures venv lock gpu

demo: venv
	$(BIN)/workbench run studies/digits.yaml

test: venv
	$(TEST)

fast: venv
	$(TEST) -m "not slow"

slow: venv
	$(TEST) -m slow

check: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests benchmarks $(LENIENT)
	$(TEST) -m "not slow" --cov --cov-report= --cov-fail-under=$(COVERAGE)

docs: venv
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet --fresh-env docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

bench: venv
	$(BIN)/python benchmarks/demo.py
	$(if $(DATA),$(BIN)/python benchmarks/competitions.py --data $(DATA))

pictures: venv
	WORKBENCH_PICTURES=docs/pictures $(BIN)/python -m pytest -rs tests/test_browser.py -k "best_first or figure_is_seen or report_opens"

venv: .venv/done

# Byte-compiling at installation makes the first import of TensorFlow more than twice as fast.
.venv/done: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --compile --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

lock:
	uv pip compile pyproject.toml --group dev --group docs --extra boost --extra dashboard --extra excel --extra tensorboard --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --output-file requirements.lock

gpu: venv
	$(BIN)/python -m pip uninstall --yes tensorflow-cpu xgboost-cpu
	$(BIN)/python -m pip install --force-reinstall --no-deps tensorflow xgboost
	$(BIN)/python -m pip install 'tensorflow[and-cuda]' xgboost nvidia-ml-py
