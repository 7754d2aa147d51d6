from stackbert.errors import run_step
from stackbert.report.pages import rulegraph_figure

run_step(
    lambda: rulegraph_figure(
        snakemake.params.snakefile, snakemake.params.config, dict(snakemake.output.items())
    ),
    snakemake.log[0],
    snakemake.output,
)
