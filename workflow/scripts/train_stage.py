from stackbert.errors import run_step
from stackbert.pretrain import train_stage
from stackbert.provenance import write_run
from stackbert.schedule import lengthened


def step() -> None:
    """Train, then write down how."""
    name = "pretrain {recipe} {stage}".format(**snakemake.wildcards)
    init = snakemake.input.get("init") or None
    settings = snakemake.params.config
    stage = lengthened(snakemake.params.stage, snakemake.input.get("early", []))
    data = snakemake.input.data[0].rsplit("/", 1)[0]
    # Neither changes the result, so neither is a parameter, whose change would train again.
    how = (snakemake.config["save_minutes"], snakemake.resources.get("mpi"))
    checkpoint, log = snakemake.output.checkpoint, snakemake.log[0]
    stage = train_stage(settings, stage, data, init, checkpoint, log, name, *how)
    write_run(snakemake.output.run, {**snakemake.config, "stage": stage}, stage["seed"])


run_step(step, snakemake.log[0], snakemake.output)
