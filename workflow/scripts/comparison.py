from stackbert.errors import run_step
from stackbert.report.comparison import comparison_page

run_step(
    lambda: comparison_page(
        snakemake.params.config,
        snakemake.input.curves,
        snakemake.input.unigram,
        dict(snakemake.output.items()),
    ),
    snakemake.log[0],
    snakemake.output,
)
