from stackbert.errors import run_step
from stackbert.pretrain import grow_stage

run_step(
    lambda: grow_stage(
        snakemake.input.shallow,
        snakemake.output.weights,
        snakemake.output.timing,
        snakemake.params.layers,
        snakemake.params.to_layers,
        snakemake.params.operator,
        snakemake.params.seed,
        snakemake.params.moments,
        snakemake.params.training,
    ),
    snakemake.log[0],
    snakemake.output,
)
