# make run    the whole pipeline and report.html       make test   every test
# make plan   what a run would take, before it         make lint, make format, make clean
# make docs   docs/config.md and docs/rules.svg from the schema and the rules
PYTHON ?= python3
CORES ?= all
# Further arguments of snakemake, such as ARGS="--configfile config.yaml configs/bert_base.yaml".
ARGS ?=
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
.PHONY: run report test plan docs lint format clean

run: $(VENV)/.ready
	$(SNAKEMAKE) --cores $(CORES) $(ARGS)
	@$(MAKE) --no-print-directory report

# A report is written anew only after a job, a caption or the template changed.
report: $(VENV)/.ready
	@if [ -e "$(REPORT)" ] && [ -z "$$(find .snakemake/metadata workflow/report stackbert/report \
	    -newer "$(REPORT)" -print -quit)" ]; then echo "$(REPORT) is up to date."; else \
	  $(SNAKEMAKE) --report .snakemake/report.html $(ARGS) && \
	  mv -f .snakemake/report.html "$(REPORT)" && echo "Wrote $(REPORT)."; fi

test: $(VENV)/.test-ready
	$(IN_VENV) python -m pytest

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

$(VENV)/.test-ready: $(VENV)/.ready requirements-test.lock
	$(PIP) --no-deps -r requirements-test.lock
	@touch $@
