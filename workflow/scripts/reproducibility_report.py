from stackbert.errors import run_step
from stackbert.report.pages import reproducibility_page

run_step(
    lambda: reproducibility_page(
        snakemake.input.runs, snakemake.params.config, dict(snakemake.output.items())
    ),
    snakemake.log[0],
    snakemake.output,
)
