# StackingBERT: raw text -> clean text -> BPE -> binarized data -> grown encoder -> GLUE -> report.
import os
import re
import sys

from snakemake.utils import min_version

min_version("9.0")

sys.path.insert(0, workflow.basedir)
from stackbert.importable import make_importable

make_importable(workflow.basedir)


# Beside this file, so that the workflow runs in any folder (snakemake --directory).
configfile: os.path.join(workflow.basedir, "config.yaml")


include: "rules/common.smk"
include: "rules/corpus.smk"
include: "rules/bpe.smk"
include: "rules/binarize.smk"
include: "rules/pretrain.smk"
include: "rules/glue.smk"


# Snakemake's cache between workflows (--cache RULE ...) takes no rule that times itself.
for cached in workflow.workflow_settings.cache or []:
    if cached in workflow._rules:
        workflow._rules[cached]._benchmark = None


include: "rules/report.smk"
include: "rules/export.smk"


# On a cluster these run on the login node: compute nodes often reach no network, and the others take
# a few seconds each.
localrules:
    download_dump,
    movie_reviews,
    glue_download,
    corpus_table,
    curve,
    unigram,
    comparison,
    glue_grid_choice,
    glue_table,
    glue_paper,
    glue_submission_files,
    glue_submission,
    loss_report,
    glue_report,
    corpus_report,
    resources_report,
    rulegraph_report,
    reproducibility_report,


onerror:
    print(*failures.summary(log[0]), sep="\n", file=sys.stderr)


rule all:
    default_target: True
    input:
        rules.data.input,
        rules.pretrain.input,
        rules.glue.input,
        rules.compare.input,
