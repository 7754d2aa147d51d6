from stackbert.errors import run_step
from stackbert.text.shards import clean_shard

number, total = map(int, snakemake.wildcards.scatteritem.split("-of-"))
run_step(
    lambda: clean_shard(
        snakemake.input.texts,
        snakemake.output.lines,
        snakemake.output.hashes,
        snakemake.output.counts,
        number - 1,
        total,
    ),
    snakemake.log[0],
    snakemake.output,
)
