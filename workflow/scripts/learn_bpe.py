from stackbert.errors import run_step
from stackbert.text.learn_bpe import learn

run_step(
    lambda: learn(snakemake.input.words, snakemake.output.codes, snakemake.params.merges),
    snakemake.log[0],
    snakemake.output,
)
