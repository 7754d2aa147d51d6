from stackbert.errors import run_step
from stackbert.text.reviews import fetch_reviews

run_step(
    lambda: fetch_reviews(snakemake.params.source, snakemake.output[0]),
    snakemake.log[0],
    snakemake.output,
)
