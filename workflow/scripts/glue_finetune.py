from stackbert.errors import run_step
from stackbert.glue.finetune import finetune
from stackbert.glue.grid import with_choice
from stackbert.provenance import write_run


def step() -> None:
    """Fine-tune, then write down how."""
    task, recipe = snakemake.wildcards.task, snakemake.wildcards.recipe
    params, files = snakemake.params, snakemake.input
    settings = with_choice(params.settings, next(iter(files.get("choice", [])), None))
    finetune(
        task,
        recipe,
        params.seed,
        settings,
        params.data,
        files.dictionary,
        files.checkpoint,
        snakemake.output,
        snakemake.log[0],
    )
    write_run(snakemake.output.run, {**snakemake.config, "task": task, **settings}, params.seed)


run_step(step, snakemake.log[0], snakemake.output)
