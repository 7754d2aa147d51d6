from stackbert.download import fetch
from stackbert.errors import run_step

run_step(
    lambda: fetch(snakemake.params.source, snakemake.output.dump),
    snakemake.log[0],
    snakemake.output,
)
