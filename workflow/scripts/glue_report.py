from stackbert.errors import run_step
from stackbert.report.pages import glue_page

run_step(
    lambda: glue_page(
        snakemake.input.table,
        snakemake.input.paper,
        snakemake.params.recipes,
        dict(snakemake.output.items()),
    ),
    snakemake.log[0],
    snakemake.output,
)
