from stackbert.errors import run_step
from stackbert.text.split import split

run_step(
    lambda: split(
        snakemake.input.hashes,
        snakemake.output.flags,
        snakemake.output.counts,
        snakemake.params.valid_every,
        snakemake.resources.mem_mb,
    ),
    snakemake.log[0],
    snakemake.output,
)
