from stackbert.errors import run_step
from stackbert.text.shards import tokenize_shard

run_step(
    lambda: tokenize_shard(
        snakemake.input.lines,
        snakemake.input.flags,
        snakemake.output.train,
        snakemake.output.valid,
        snakemake.output.words,
        snakemake.output.counts,
        snakemake.params.segmenter,
    ),
    snakemake.log[0],
    snakemake.output,
)
