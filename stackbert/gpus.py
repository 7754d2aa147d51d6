"""Each training process a GPU of its own, however many jobs run at once on one machine."""

import fcntl
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stackbert.errors import UserError

EVERY = 2.0  # seconds between two looks for a free GPU


@contextmanager
def claim(count: int, name: str) -> Iterator[dict[str, str]]:
    """Hold `count` GPUs for the job `name`; yields the environment that shows it only those.

    Waits while other jobs of this user hold them: two trainings on one GPU would slow each other
    down, and their times would say nothing. Chooses among CUDA_VISIBLE_DEVICES where that is set
    (by Slurm or the user). Raises UserError if there are too few.
    """
    ids = _visible()
    if count > len(ids):
        raise UserError(
            f"{name} needs {count} GPUs and {len(ids)} can be seen: lower pretrain.devices, or "
            "give the job more"
        )
    told = False
    while True:
        with ExitStack() as held:
            mine: list[str] = []
            for each in ids:
                if len(mine) < count and _lock(each, held):
                    mine.append(each)
            if len(mine) == count:
                yield {"CUDA_VISIBLE_DEVICES": ",".join(mine)}
                return
        if not told:
            print(f"{name}: waiting for a free GPU", file=sys.stderr, flush=True)
            told = True
        time.sleep(EVERY)


def _visible() -> list[str]:
    """Numbers or names of the GPUs this process may use."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [each.strip() for each in given.split(",") if each.strip()]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


def _lock(gpu: str, held: ExitStack) -> bool:
    """Whether the GPU was free and is now held until `held` is closed, or the process ends."""
    name = f"stackbert-gpu-{os.getuid()}-{re.sub(r'[^A-Za-z0-9]', '_', gpu)}.lock"
    with ExitStack() as opened:
        file = opened.enter_context(open(Path(tempfile.gettempdir(), name), "w"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        held.push(opened.pop_all())
    return True
