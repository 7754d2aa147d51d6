from stackbert.errors import run_step
from stackbert.glue.grid import choose

run_step(lambda: choose(snakemake.input, snakemake.output[0]), snakemake.log[0], snakemake.output)
