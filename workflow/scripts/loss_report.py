from stackbert.errors import run_step
from stackbert.report.pages import losses_page

run_step(
    lambda: losses_page(
        snakemake.params.arms,
        snakemake.params.control,
        snakemake.input.curves,
        dict(snakemake.output.items()),
    ),
    snakemake.log[0],
    snakemake.output,
)
