from stackbert.errors import run_step
from stackbert.glue.finetune import finetune
from stackbert.provenance import write_run


def step() -> None:
    """Fine-tune, then write down how."""
    task, recipe, seed = (snakemake.wildcards[key] for key in ("task", "recipe", "seed"))
    finetune(
        task,
        recipe,
        int(seed),
        snakemake.params.settings,
        snakemake.params.data,
        snakemake.input.dictionary,
        snakemake.input.checkpoint,
        snakemake.output,
        snakemake.log[0],
    )
    write_run(snakemake.output.run, {**snakemake.config, "task": task}, int(seed))


run_step(step, snakemake.log[0], snakemake.output)
