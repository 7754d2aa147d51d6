from stackbert.errors import run_step
from stackbert.glue.tables import glue_table

run_step(
    lambda: glue_table(snakemake.input, snakemake.output[0]), snakemake.log[0], snakemake.output
)
