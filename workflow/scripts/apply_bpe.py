from stackbert.errors import run_step
from stackbert.text.shards import encode_shard

run_step(
    lambda: encode_shard(
        snakemake.input.train,
        snakemake.input.valid,
        snakemake.output.train,
        snakemake.output.valid,
        snakemake.input.codes,
    ),
    snakemake.log[0],
    snakemake.output,
)
