"""Runs fairseq-train as a child process: log to a file, progress to the terminal, clear failure."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from stackbert.errors import UserError
from stackbert.gpus import claim
from stackbert.owner import inherited

PLUGIN = Path(__file__).parent.parent / "stackbert_fairseq"
DIVERGED = "the loss has exploded:"  # how the plug-in's last line begins when it stops by itself


class Diverged(UserError):
    """The loss is no longer a finite or a sensible number."""


def has_cuda(device: str) -> bool:
    """Whether to train on a GPU: what the config's `device` (auto, cpu, cuda) means here."""
    import torch

    found = torch.cuda.is_available()
    if device == "cuda" and not found:
        raise UserError(
            "config key device is cuda but torch finds no GPU here: set it to auto or cpu"
        )
    return found and device != "cpu"


def best_precision() -> str:
    """bf16 where the GPU computes in it, else fp16 (with loss scaling)."""
    import torch

    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def common_arguments(device: str) -> list[str]:
    """Arguments of every run: the plug-in, the device, machine-readable log lines."""
    arguments = ["--user-dir", str(PLUGIN), "--log-format", "json", "--num-workers", "0"]
    # fairseq's thread that reads ahead gains nothing on a CPU, and ends the process by SIGABRT when
    # Python ends while it is inside torch.
    return arguments if has_cuda(device) else [*arguments, "--cpu", "--data-buffer-size", "0"]


def fairseq_train(
    arguments: Sequence[str],
    log: str,
    name: str,
    threads: int,
    progress: Callable[[dict[str, Any]], str | None],
    processes: int = 1,
    mpi: str | None = None,
) -> None:
    """Run fairseq-train with `arguments`; print `progress` of every logged interval.

    `progress` turns one logged interval into a line, or None for no line. Several `processes` are
    started by torchrun, or by `mpi` (such as srun, for several nodes); on GPUs each has one of its
    own, which it waits for. SIGTERM, SIGINT and SIGUSR1 are passed on to them and waited for.
    Raises UserError, naming the log, if training fails or is stopped, Diverged if it exploded.
    """
    command = [*_starter(processes, mpi), "-m", "stackbert_fairseq.train", *arguments]
    tail: deque[str] = deque(maxlen=200)
    # srun gives its processes their GPUs itself.
    gpus: AbstractContextManager[dict[str, str]] = (
        nullcontext({}) if "--cpu" in arguments or mpi else claim(processes, name)
    )
    with gpus as own, open(log, "a", encoding="utf-8", buffering=1) as file:  # lines, to be watched
        environment = {
            **os.environ,
            **own,
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
            "STACKBERT_STARTED": str(time.time()),
            "STACKBERT_PROCESSES": str(processes),
            "PYTHONUNBUFFERED": "1",
        }
        file.write(f"$ {shlex.join(command)}\n")
        file.flush()
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            pass_fds=inherited(),
        )
        with _passing_signals(process, bool(mpi)) as received:
            for line in process.stdout or ():
                file.write(line)
                tail.append(line)
                _show(line, name, progress)
            code = process.wait()
    if received:
        number = signal.Signals(received[0]).name
        raise UserError(f"{name} was stopped by {number}; run the same command again to continue")
    if code:
        text = "".join(tail)
        error = Diverged if _diverged(text) else UserError
        raise error(f"{name} stopped: {_cause(code, text)}. Log: {log}")


def _starter(processes: int, mpi: str | None) -> list[str]:
    """What starts the training processes."""
    if processes > 1 and mpi:
        return [*shlex.split(mpi), f"--ntasks={processes}", sys.executable]
    if processes > 1:
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        return [*torchrun, f"--nproc-per-node={processes}"]
    return [sys.executable]


@contextmanager
def _passing_signals(process: subprocess.Popen[str], mpi: bool) -> Iterator[list[int]]:
    """Tell the training to stop when this process is told to; yields the signals so far."""
    received: list[int] = []

    def pass_on(number: int, _: Any) -> None:
        received.append(number)
        # srun passes SIGUSR1 on but kills its processes at SIGTERM; torchrun passes SIGTERM on.
        process.send_signal(signal.SIGUSR1 if mpi else signal.SIGTERM)

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    before = {number: signal.signal(number, pass_on) for number in numbers}
    try:
        yield received
    except BaseException:
        process.terminate()
        raise
    finally:
        process.wait()
        for number, handler in before.items():
            signal.signal(number, handler)


def _show(line: str, name: str, progress: Callable[[dict[str, Any]], str | None]) -> None:
    parts = line.rstrip("\n").split(" | ")
    if len(parts) == 4 and parts[2] == "train_inner":
        text = progress(json.loads(parts[3]))
        if text:
            print(f"{name}: {text}", file=sys.stderr, flush=True)


def _diverged(tail: str) -> bool:
    marks = (DIVERGED, "gradients are Nan/Inf", "Minimum loss scale reached")
    return any(mark in tail for mark in marks)


def _cause(code: int, tail: str) -> str:
    if found := re.search(f"{DIVERGED} .*", tail):
        return f"{found[0]}; lower the learning rate (lr) of this stage"
    if _diverged(tail):
        return "the loss is no longer a finite number; lower the learning rate (lr) of this stage"
    if "out of memory" in tail.lower() or "can't allocate memory" in tail.lower():
        return (
            "out of memory; lower pretrain.tokens_per_batch (the update stays the same size) or "
            "set pretrain.activation_checkpointing to true (each layer is computed once more)"
        )
    if "No space left on device" in tail:
        return "the disk is full; free space, then run the same command again to continue"
    if code < 0:
        return f"killed by signal {-code}; run the same command again to continue"
    # Of several processes torchrun has the last words; the first error of one says more.
    errors = re.findall(r"^\[rank\d+\]: ((?:\w+\.)*\w+Error: .+)$", tail, re.MULTILINE)
    last = errors[:1] or [line.strip() for line in tail.splitlines() if line.strip()]
    return f"exit code {code}, {last[-1] if last else 'no output'}"


def time_left(updates: int) -> Callable[[int], str]:
    """A function from updates done to the text `, m:ss left`, by the speed since its first call.

    So the start-up and what an earlier process did count for nothing. Empty while there is no
    speed yet.
    """
    first: tuple[float, int] | None = None

    def left(update: int) -> str:
        nonlocal first
        now = time.time()
        first = first or (now, update)
        if update == first[1]:
            return ""
        return f", {clock((updates - update) * (now - first[0]) / (update - first[1]))} left"

    return left


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
