from stackbert.errors import run_step
from stackbert.text.binarize import tabulate

steps = {
    step: [paths] if isinstance(paths, str) else list(paths)
    for step, paths in snakemake.input.items()
}
run_step(lambda: tabulate(steps, snakemake.output.table), snakemake.log[0], snakemake.output)
