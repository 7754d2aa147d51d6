"""Runs fairseq-train as a child process: log to a file, progress to the terminal, clear failure."""

import json
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stackbert.errors import UserError

PLUGIN = Path(__file__).parent.parent / "stackbert_fairseq"


def has_cuda(device: str) -> bool:
    """Whether to train on a GPU: what the config's `device` (auto, cpu, cuda) means here."""
    import torch

    found = torch.cuda.is_available()
    if device == "cuda" and not found:
        raise UserError(
            "config key device is cuda but torch finds no GPU here: set it to auto or cpu"
        )
    return found and device != "cpu"


def common_arguments(device: str, threads: int) -> list[str]:
    """Arguments of every run: the plug-in, the device, machine-readable log lines."""
    arguments = ["--user-dir", str(PLUGIN), "--log-format", "json", "--num-workers", "0"]
    return arguments if has_cuda(device) else [*arguments, "--cpu"]


def fairseq_train(
    arguments: Sequence[str],
    log: str,
    name: str,
    threads: int,
    progress: Callable[[dict[str, Any]], str | None],
) -> None:
    """Run fairseq-train with `arguments`; print `progress` of every logged interval.

    `progress` turns one logged interval into a line, or None for no line. Raises UserError, naming
    the log, if training fails.
    """
    command = [sys.executable, "-m", "fairseq_cli.train", *arguments]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "STACKBERT_STARTED": str(time.time()),
        "PYTHONUNBUFFERED": "1",
    }
    tail: deque[str] = deque(maxlen=60)
    with open(log, "a", encoding="utf-8") as file:
        file.write(f"$ {' '.join(command)}\n")
        file.flush()
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        try:
            for line in process.stdout or ():
                file.write(line)
                tail.append(line)
                _show(line, name, progress)
        except BaseException:
            process.terminate()
            raise
        finally:
            code = process.wait()
    if code:
        raise UserError(f"{name} stopped: {_cause(code, ''.join(tail))}. Log: {log}")


def _show(line: str, name: str, progress: Callable[[dict[str, Any]], str | None]) -> None:
    parts = line.rstrip("\n").split(" | ")
    if len(parts) == 4 and parts[2] == "train_inner":
        text = progress(json.loads(parts[3]))
        if text:
            print(f"{name}: {text}", file=sys.stderr, flush=True)


def _cause(code: int, tail: str) -> str:
    if "gradients are Nan/Inf" in tail or "Minimum loss scale reached" in tail:
        return "the loss is no longer a finite number; lower the learning rate (lr) of this stage"
    if "out of memory" in tail.lower() or "can't allocate memory" in tail.lower():
        return "out of memory; lower pretrain.tokens_per_batch (the update stays the same size)"
    if "No space left on device" in tail:
        return "the disk is full; free space, then run the same command again to continue"
    if code < 0:
        return f"killed by signal {-code}; run the same command again to continue"
    last = [line for line in tail.splitlines() if line.strip()]
    return f"exit code {code}, {last[-1].strip() if last else 'no output'}"


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
