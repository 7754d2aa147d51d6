from pathlib import Path

from stackbert.errors import run_step
from stackbert.text.binarize import binarize

run_step(
    lambda: binarize(
        snakemake.input.train,
        snakemake.input.valid,
        Path(snakemake.output.dictionary).parent,
        snakemake.output.counts,
        snakemake.params.vocab_size,
        snakemake.threads,
        snakemake.log[0],
    ),
    snakemake.log[0],
    snakemake.output,
)
