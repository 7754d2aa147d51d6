from stackbert.errors import run_step
from stackbert.text.unigram import write_unigram

run_step(
    lambda: write_unigram(snakemake.input[0].rsplit("/", 1)[0], snakemake.output[0]),
    snakemake.log[0],
    snakemake.output,
)
