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
    # None of these changes the result, so none is a parameter, whose change would train again.
    config, wildcards = snakemake.config, snakemake.wildcards
    live = "{results}/tensorboard/{recipe}/{stage}".format(**wildcards, results=config["results"])
    stages = config["recipes"][wildcards.recipe]
    before = stages[: [f"L{each['layers']}" for each in stages].index(wildcards.stage)]
    how = {
        "save_minutes": config["save_minutes"],
        "mpi": snakemake.resources.get("mpi"),
        "tensorboard": live if config["tensorboard"] else None,
        "updates_before": sum(each["updates"] for each in before),
    }
    checkpoint, log = snakemake.output.checkpoint, snakemake.log[0]
    stage = train_stage(settings, stage, data, init, checkpoint, log, name, **how)
    write_run(snakemake.output.run, {**config, "stage": stage}, stage["seed"])


run_step(step, snakemake.log[0], snakemake.output)
