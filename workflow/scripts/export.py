import os

from stackbert.errors import run_step
from stackbert.export.folder import export

wildcards = snakemake.wildcards
run_step(
    lambda: export(
        wildcards.recipe,
        wildcards.get("task"),
        snakemake.input,
        os.path.dirname(snakemake.output[0]),
    ),
    snakemake.log[0],
    snakemake.output,
)
