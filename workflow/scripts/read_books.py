from stackbert.errors import run_step
from stackbert.text.books import read_books

run_step(
    lambda: read_books(
        snakemake.params.folders,
        snakemake.output.text,
        snakemake.output.skipped,
        snakemake.output.counts,
    ),
    snakemake.log[0],
    snakemake.output,
)
