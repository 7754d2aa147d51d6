from stackbert.errors import run_step
from stackbert.glue.tables import paper_table

run_step(
    lambda: paper_table(snakemake.input[0], snakemake.output[0]),
    snakemake.log[0],
    snakemake.output,
)
