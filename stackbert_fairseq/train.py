"""fairseq-train, with the process's place among several and the saving of `saving.py`.

Started as one process (`python -m stackbert_fairseq.train ...`), by torchrun or by srun, on GPUs or
not.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import fairseq_cli.train
from fairseq import checkpoint_utils

from stackbert.owner import stop_with_parent

_validate_and_save = fairseq_cli.train.validate_and_save


def validate_and_save(cfg: Any, trainer: Any, task: Any, epochs: Any, *arguments: Any) -> Any:
    """fairseq's own, then a save without validation where the task wishes one."""
    losses, stop = _validate_and_save(cfg, trainer, task, epochs, *arguments)
    saving = getattr(task, "saving", None)
    if saving is None or stop:
        return losses, stop
    if saving.save:
        path = checkpoint_utils.save_checkpoint(cfg.checkpoint, trainer, epochs, None)
        if path is not None:
            task.post_save(path, trainer.get_num_updates())
    return losses, saving.stop


def place(environment: Mapping[str, str]) -> dict[str, str]:
    """Rank, local rank, number of processes and meeting point, as torchrun or srun give them.

    Empty for a single process, whatever the shell is part of. fairseq's own reading of these
    variables fails without a GPU.
    """
    if environment.get("STACKBERT_PROCESSES", "1") == "1":
        return {}
    if "WORLD_SIZE" in environment:
        names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
        return {name: environment[name] for name in names}
    nodes = ["scontrol", "show", "hostnames", environment["SLURM_STEP_NODELIST"]]
    first = subprocess.run(nodes, check=True, capture_output=True, text=True).stdout.split()[0]
    return {
        "RANK": environment["SLURM_PROCID"],
        "LOCAL_RANK": environment["SLURM_LOCALID"],
        "WORLD_SIZE": environment["SLURM_STEP_NUM_TASKS"],
        "MASTER_ADDR": first,
        # another one for every job that shares the node
        "MASTER_PORT": str(20000 + int(environment["SLURM_JOB_ID"]) % 20000),
    }


def main() -> None:
    """Train with the arguments of the command line."""
    stop_with_parent()
    # fairseq's own format, which came too late: importing the plug-in has set up logging already
    form = "%(asctime)s | %(levelname)s | %(name)s | %(message)s"
    logging.basicConfig(format=form, level=logging.INFO, stream=sys.stdout, force=True)
    fairseq_cli.train.validate_and_save = validate_and_save
    where = place(os.environ)
    world = where.get("WORLD_SIZE", "1")
    sys.argv += ["--distributed-world-size", world]
    if world != "1":
        os.environ.update(where)
        options = {"--distributed-rank": where["RANK"], "--device-id": where["LOCAL_RANK"]}
        sys.argv += [part for option in options.items() for part in option]
        sys.argv += ["--distributed-init-method", "env://", "--distributed-no-spawn"]
        sys.argv += ["--ddp-backend", "legacy_ddp"]
        # fairseq would send what one process has read as objects that weights-only loading refuses
        sys.argv += ["--load-checkpoint-on-all-dp-ranks"]
        if "--cpu" in sys.argv:
            sys.argv += ["--distributed-backend", "gloo"]
    fairseq_cli.train.cli_main()


if __name__ == "__main__":
    main()
