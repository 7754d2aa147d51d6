# make run    the whole pipeline and report.html       make test   every test
# make plan   what a run would take, before it         make lint, make format, make clean
# make watch  a live view of a run, from a second terminal
# make test-faults, make test-slurm   the slow proofs of reliability
# make growth-lab   ways of growing compared over seeds: docs/growth.md (LONG=1: four times the budget, GPU=1: 768 wide)
# make docs   docs/config.md and docs/rules.svg from the schema and the rules
PYTHON ?= python3
CORES ?= all
# Further arguments of snakemake, such as ARGS="--configfile configs/bert_base.yaml".
ARGS ?=
QUOTED_ARGS = '$(subst ','\'',$(ARGS))'
REPORT ?= report.html

VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check install
# The environment's programs come first, as if it were activated.
IN_VENV := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"
SNAKEMAKE := $(IN_VENV) snakemake
IMPORTS := torch, fairseq, subword_nmt, sacremoses, sentencex, wikiextractor, pandas, sklearn, scipy, \
	matplotlib, jsonschema, safetensors, tensorboard, pygments, snakemake
SMK := Snakefile rules/*.smk

.DEFAULT_GOAL := run
.PHONY: run report test plan watch docs lint format clean

run: $(VENV)/.ready
	@if [ -t 1 ]; then $(IN_VENV) python -m stackbert.report.watch --run --cores $(CORES) $(ARGS); \
	  else $(SNAKEMAKE) --cores $(CORES) $(ARGS); fi
	@$(MAKE) --no-print-directory report

# A report is written anew only after a job, a caption or the arguments changed.
report: $(VENV)/.ready
	@if [ -e "$(REPORT)" ] && [ "$$(cat .snakemake/report.args 2>/dev/null)" = $(QUOTED_ARGS) ] && \
	    [ -z "$$(find .snakemake/metadata workflow/report \
	      -type f -newer "$(REPORT)" -print -quit)" ]; then echo "$(REPORT) is up to date."; else \
	  $(SNAKEMAKE) --report .snakemake/report.html $(ARGS) && \
	  mv -f .snakemake/report.html "$(REPORT)" && \
	  printf '%s\n' $(QUOTED_ARGS) > .snakemake/report.args && echo "Wrote $(REPORT)." || { \
	  rm -f .snakemake/report.html; echo "error: $(REPORT) was not written: mend what the last line" \
	    "above says (a full disk: free space), then type make report" >&2; exit 1; }; fi

# Two tests at a time, more where there are cores; every file's tests in one process.
JOBS ?= auto
PYTEST := python -m pytest -n $(JOBS) --maxprocesses 4 --dist loadgroup --no-loadscope-reorder

# All but tests/faults and tests/slurm, which take long and have targets of their own.
test: $(VENV)/.test-ready
	$(IN_VENV) $(PYTEST) --ignore=tests/faults --ignore=tests/slurm

plan: $(VENV)/.ready
	@$(IN_VENV) python -m stackbert.report.plan $(ARGS)

lint: $(VENV)/.test-ready
	$(IN_VENV) ruff check .
	$(IN_VENV) ruff format --check .
	$(IN_VENV) snakefmt --check $(SMK)
	$(SNAKEMAKE) --lint

format: $(VENV)/.test-ready
	$(IN_VENV) ruff check --fix .
	$(IN_VENV) ruff format .
	$(IN_VENV) snakefmt $(SMK)

watch: $(VENV)/.ready
	@$(IN_VENV) python -m stackbert.report.watch $(ARGS)

docs: $(VENV)/.ready
	$(IN_VENV) python -m stackbert.report.config_doc
	$(IN_VENV) python -m stackbert.report.rulegraph docs/rules.svg

# The results and the environment; the sources stay.
clean:
	rm -rf $(VENV) .snakemake results "$(REPORT)" .pytest_cache .ruff_cache .mypy_cache .hypothesis

# torch first, with its own dependencies; then the complete lock, which says why, without any.
$(VENV)/.ready: requirements.lock
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null || { \
	  echo "error: $(PYTHON) is $$("$(PYTHON)" --version 2>&1 | head -n 1);" \
	    "StackingBERT needs Python 3.11 or 3.12: make run PYTHON=/path/to/python3.12" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)
	$(PIP) torch==2.13.0
	$(PIP) --no-deps -r requirements.lock
	$(VENV)/bin/python -c "import logging; logging.disable(); import $(IMPORTS)"
	@touch $@

$(VENV)/.test-ready: $(VENV)/.ready requirements-test.lock requirements-export.lock
	$(PIP) --no-deps -r requirements-test.lock -r requirements-export.lock
	@touch $@

# Kills, full disks, torn files: make test-faults KILLS=20
KILLS ?= 3
test-faults: $(VENV)/.test-ready
	$(IN_VENV) KILLS=$(KILLS) $(PYTEST) tests/faults

# Compares ways of growing; the JSON goes to benchmarks/results.
LAB := growth_lab$(if $(LONG),_long,$(if $(GPU),_gpu))
growth-lab: $(VENV)/.ready
	$(SNAKEMAKE) --cores $(CORES) compare --configfile $(sort configs/growth_lab.yaml configs/$(LAB).yaml) $(ARGS)
	$(IN_VENV) python benchmarks/growth_lab.py --results results/$(LAB) \
	  --command "make growth-lab$(if $(LONG), LONG=1,$(if $(GPU), GPU=1))" --output benchmarks/results/$(LAB).json
.PHONY: growth-lab

# A real Slurm on this machine, installed if it is missing (root, Debian or Ubuntu), and its tests.
test-slurm: $(VENV)/.test-ready
	bash tests/slurm/slurm.sh install || echo "warning: Slurm cannot be installed here" >&2
	$(IN_VENV) python -m pytest tests/slurm
.PHONY: test-faults test-slurm
