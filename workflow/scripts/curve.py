from stackbert.curves import join_curves
from stackbert.errors import run_step

run_step(
    lambda: join_curves(
        snakemake.params.stages,
        snakemake.input.curves,
        snakemake.input.growths,
        snakemake.output[0],
    ),
    snakemake.log[0],
    snakemake.output,
)
