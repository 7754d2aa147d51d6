from stackbert.errors import run_step
from stackbert.report.pages import corpus_page

run_step(
    lambda: corpus_page(snakemake.input.table, dict(snakemake.output.items())),
    snakemake.log[0],
    snakemake.output,
)
