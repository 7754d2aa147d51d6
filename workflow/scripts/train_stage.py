from stackbert.errors import run_step
from stackbert.pretrain import train_stage
from stackbert.provenance import write_run


def step() -> None:
    """Train, then write down how."""
    name = "pretrain {recipe} {stage}".format(**snakemake.wildcards)
    init = snakemake.input.get("init") or None
    settings, stage = snakemake.params.config, snakemake.params.stage
    data = snakemake.input.data[0].rsplit("/", 1)[0]
    # Neither changes the result, so neither is a parameter, whose change would train again.
    how = (snakemake.config["save_minutes"], snakemake.resources.get("mpi"))
    checkpoint, log = snakemake.output.checkpoint, snakemake.log[0]
    train_stage(settings, stage, data, init, checkpoint, log, name, *how)
    write_run(snakemake.output.run, {**snakemake.config, "stage": stage}, stage["seed"])


run_step(step, snakemake.log[0], snakemake.output)
