"""One job at a time does a step: a job that a killed run left behind is stopped first.

Snakemake's lock keeps a second run out while the first lives. When the first was killed with
SIGKILL its jobs go on, on this machine or under Slurm, and the next run would start them again.
"""

import ctypes
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

PR_SET_PDEATHSIG = 1  # linux/prctl.h
_held: set[int] = set()


@contextmanager
def owned(log: str) -> Iterator[None]:
    """Hold the step that writes `log`; stop its earlier owner and wait until that has ended."""
    path = Path(log)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = _take(path.with_name(f".{path.name}.owner"))
    _held.add(file.fileno())
    try:
        yield
    finally:
        _held.discard(file.fileno())
        Path(file.name).unlink(missing_ok=True)
        file.close()


def inherited() -> tuple[int, ...]:
    """Descriptors that a child process must keep, so that the step is owned until it has ended."""
    return tuple(_held)


def stop_with_parent() -> None:
    """Get SIGTERM when the parent process dies, also by SIGKILL (Linux; nothing elsewhere)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _take(path: Path) -> IO[str]:
    """The locked file; it may have been removed by its owner while this job waited for it."""
    while True:
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - held for the whole step
        if not _locked(file):
            _stop_owner(file)
            while not _locked(file):
                time.sleep(0.2)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                break
        file.close()
    file.truncate(0)
    me = {"host": socket.gethostname(), "pid": os.getpid(), "slurm": os.environ.get("SLURM_JOB_ID")}
    file.write(json.dumps(me))
    file.flush()
    return file


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: as before there were any
        return True
    return True


def _stop_owner(file: IO[str]) -> None:
    """Tell the owner to stop: by Slurm, by a signal on this machine, else only wait for it."""
    file.seek(0)
    try:
        owner: dict[str, Any] = json.loads(file.read())
    except ValueError:  # it has just taken the lock and not yet written who it is
        return
    job = owner["slurm"]
    who = f"Slurm job {job}" if job else f"process {owner['pid']} on {owner['host']}"
    print(f"stopping {who}, left from a run that was killed", file=sys.stderr, flush=True)
    if job and job != os.environ.get("SLURM_JOB_ID"):
        subprocess.run(["scancel", job], check=False)
    elif owner["host"] == socket.gethostname():
        with suppress(ProcessLookupError):  # dead, but its child still saves
            os.kill(owner["pid"], signal.SIGTERM)
