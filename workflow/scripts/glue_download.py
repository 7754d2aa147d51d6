from stackbert.errors import run_step
from stackbert.glue.fetch import fetch_task

run_step(
    lambda: fetch_task(snakemake.wildcards.task, snakemake.params.download, snakemake.output[0]),
    snakemake.log[0],
    snakemake.output,
)
