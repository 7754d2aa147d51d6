from stackbert.errors import run_step
from stackbert.glue.prepare import prepare
from stackbert.glue.tasks import make_task
from stackbert.text.pipeline import TextPipeline

params = snakemake.params
run_step(
    lambda: prepare(
        make_task(snakemake.wildcards.task, params.task, params.downloaded),
        params.folder,
        TextPipeline(snakemake.input.codes).encode,
        snakemake.output,
        params.subset,
    ),
    snakemake.log[0],
    snakemake.output,
)
