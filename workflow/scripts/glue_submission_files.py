from pathlib import Path

from stackbert.errors import run_step
from stackbert.glue.submission import write_submission

run_step(
    lambda: write_submission(
        [str(Path(path).parent) for path in snakemake.input.scores],
        snakemake.output.folder,
        snakemake.output.choice,
    ),
    snakemake.log[0],
    snakemake.output,
)
