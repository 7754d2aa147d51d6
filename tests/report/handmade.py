"""A small project whose training, corpus and GLUE results are made by hand; the rest is real."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

CURVE = """stage layers update tokens seconds train_loss valid_mlm_loss
L3 3 50 200000 10.0 8.1 7.90
L3 3 100 400000 20.0 7.4 7.20
L6 6 50 600000 36.5 7.1 6.95
L6 6 100 800000 52.0 6.9 6.80
L12 12 50 1000000 80.0 6.8 6.60
L12 12 100 1200000 108.0 6.6 6.45
"""
CONTROL = """stage layers update tokens seconds train_loss valid_mlm_loss
L12 12 50 200000 30.0 8.0 7.70
L12 12 100 400000 60.0 7.5 7.10
L12 12 150 600000 90.0 7.1 6.85
L12 12 200 800000 120.0 6.9 6.70
"""
GLUE = """recipe task metric seeds median min max std
stacking STS-B pearson 3 0.221 0.190 0.240 0.025
stacking RT accuracy 3 0.690 0.680 0.700 0.010
scratch STS-B pearson 3 0.180 0.150 0.210 0.030
scratch RT accuracy 3 0.670 0.660 0.672 0.006
"""
PAPER = """task metric stacking_dev paper_test
STS-B pearson 22.1 84.2
RT accuracy 69.0 -
"""
CORPUS = """step counter value
extract documents 106
clean lines_read 12000
clean lines_kept 5000
clean dropped_too_short 1851
split duplicates 12
split train 4855
split valid 99
binarize unknown_rate 0.0
"""
BENCHMARK = """s h:m:s max_rss max_vms max_uss max_pss io_in io_out mean_load cpu_time
31.5 0:00:31 412.5 900.0 380.0 390.0 0.0 1.0 97.0 30.2
"""

# Stand-ins for the steps before the report, with the file names of the real ones.
SNAKEFILE = """
import os, re, shutil, sys
sys.path.insert(0, workflow.basedir)
os.environ["PYTHONPATH"] = workflow.basedir

configfile: "config.yaml"
include: "rules/common.smk"

rule train_stage:
    input: "given/run.json"
    output:
        run=f"{RESULTS}/pretrain/{{recipe}}/{{stage}}/run.json",
    benchmark: f"{RESULTS}/benchmarks/train_stage/{{recipe}}.{{stage}}.tsv"
    shell: "cp {input} {output}"

rule curve:
    input:
        "given/{recipe}.tsv",
        lambda w: stages(w.recipe, "run.json"),
    output: f"{RESULTS}/pretrain/{{recipe}}/curve.tsv"
    shell: "cp {input[0]} {output}"

rule glue_table:
    input: "given/glue.tsv"
    output: f"{RESULTS}/tables/glue.tsv"
    shell: "cp {input} {output}"

rule glue_paper:
    input: "given/paper.tsv"
    output: f"{RESULTS}/tables/glue_vs_paper.tsv"
    shell: "cp {input} {output}"

rule unigram:
    output: f"{RESULTS}/tables/unigram.json"
    shell: "echo '{{\\"unigram_loss\\": 7.5}}' > {output}"

rule corpus_table:
    input: "given/corpus.tsv"
    output: table=f"{RESULTS}/tables/corpus.tsv"
    shell: "cp {input} {output}"

include: "rules/report.smk"

rule all:
    default_target: True
    input: rules.compare.input
"""


def tabbed(text: str) -> str:
    """The tables above with tabs for spaces."""
    return text.replace(" ", "\t")


def make_project(folder: Path) -> Path:
    """Lay out the project in an empty folder: links to the real rules, results given by hand."""
    for name in ("rules", "workflow", "stackbert", "envs", "config.yaml", "profiles"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "Snakefile").write_text(SNAKEFILE, encoding="utf-8")
    given = folder / "given"
    given.mkdir()
    tables = {"stacking": CURVE, "scratch": CONTROL, "glue": GLUE, "corpus": CORPUS, "paper": PAPER}
    for name, text in tables.items():
        (given / f"{name}.tsv").write_text(tabbed(text), encoding="utf-8")
    code = "import sys; from stackbert.provenance import write_run; write_run(sys.argv[1], {}, 1)"
    python = [sys.executable, "-c", code, str(given / "run.json")]
    subprocess.run(python, check=True, cwd=ROOT)
    return folder


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in `folder`; its output is kept."""
    command = [sys.executable, "-m", "snakemake", *arguments]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
