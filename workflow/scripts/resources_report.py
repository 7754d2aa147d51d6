from stackbert.errors import run_step
from stackbert.report.pages import resources_page

run_step(
    lambda: resources_page(snakemake.input.benchmarks, dict(snakemake.output.items())),
    snakemake.log[0],
    snakemake.output,
)
