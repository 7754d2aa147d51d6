from stackbert.errors import run_step
from stackbert.glue.submission import zip_submission

run_step(
    lambda: zip_submission(snakemake.input[0], snakemake.output[0]),
    snakemake.log[0],
    snakemake.output,
)
