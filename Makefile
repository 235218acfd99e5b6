# make demo   environment, install, then the built-in demo: dataset, trained model, report
# make test   environment, install, then the whole test suite
# make lint   linters and type checks, in the environment of `make test`

PYTHON ?= python3
VENV ?= .venv
CORES ?= all
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable
SOURCES := src/trainyard workflow_scripts tests benchmarks

.PHONY: demo test lint clean

demo: $(VENV)/.installed-demo
	$(BIN)/snakemake --cores $(CORES) all
	$(BIN)/snakemake --cores 1 --report results/demo/report.html all
	@echo
	@echo "transit   results/demo/transit/norm/{train,val,test}/, model results/demo/transit/train/model.keras"
	@echo "voxel     results/demo/voxel/store/, model results/demo/voxel/train/model.safetensors"
	@echo "splice    results/demo/splice/master/, model results/demo/splice/train/model.ubj"
	@echo "report    results/demo/report.html"

# More workers than a laptop has cores: many tests wait, for SLURM or for what starts on one core.
test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n 4 --dist loadfile

lint: $(VENV)/.installed-test
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	$(BIN)/snakemake --lint

clean:
	rm -rf results logs benchmarks/results .snakemake .trainyard

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "Python 3.11 or newer is needed; say which: make PYTHON=python3.11 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-demo: pyproject.toml requirements.lock | $(VENV)/bin/python
	$(INSTALL) '.[transit,voxel,splice]'
	touch $@

$(VENV)/.installed-test: pyproject.toml requirements.lock | $(VENV)/bin/python
	$(INSTALL) '.[transit,voxel,splice,lightgbm,bigwig,slurm,bench,dev]'
	touch $@
