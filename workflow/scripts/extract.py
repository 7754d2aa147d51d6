from stackbert.errors import run_step
from stackbert.text.extract import extract

run_step(
    lambda: extract(
        snakemake.input.dump,
        snakemake.output.text,
        snakemake.output.counts,
        snakemake.params.templates,
        snakemake.threads,
    ),
    snakemake.log[0],
    snakemake.output,
)
