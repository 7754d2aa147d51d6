"""What a result was made with: configuration, seed, package versions, commit and machine."""

import json
import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from stackbert.errors import write_atomic

ROOT = Path(__file__).resolve().parents[1]


def write_run(path: str | Path, config: dict[str, Any], seed: int) -> None:
    """Write run.json beside a result: resolved `config`, `seed`, versions, commit, machine."""
    run = {
        "seed": seed,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        **git_state(),
        "machine": machine(),
        "versions": versions(),
        "config": config,
    }
    write_atomic(path, json.dumps(run, indent=2, default=str) + "\n")


def versions() -> dict[str, str]:
    """Version of every installed package, by name."""
    found = {dist.metadata["Name"]: dist.version for dist in metadata.distributions()}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def git_state(root: Path = ROOT) -> dict[str, Any]:
    """Commit of the project and whether tracked files differ from it; null where git cannot say."""
    top = _output(["git", "-C", str(root), "rev-parse", "--show-toplevel"])
    # A copy without its own repository may lie inside somebody else's, whose commit says nothing.
    if not top or Path(top) != root:
        return {"commit": None, "dirty": None}
    commit = _output(["git", "-C", str(root), "rev-parse", "--verify", "HEAD"])
    status = _output(["git", "-C", str(root), "status", "--porcelain", "--untracked-files=no"])
    return {"commit": commit or None, "dirty": bool(status)}


def machine() -> dict[str, Any]:
    """Processor, cores this process may use, memory in GiB, GPUs, operating system."""
    pages, page_size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(pages * page_size / 2**30, 1),
        "gpus": _gpus(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _cpu_name() -> str:
    """Model name of the processor as Linux gives it, or its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _gpus() -> list[str]:
    """Name and memory of each NVIDIA GPU; asked of the driver, so that no job must import torch."""
    return _output(
        ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    ).splitlines()


def _output(command: list[str]) -> str:
    """Standard output of a command, or nothing where it is missing, fails or hangs."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (subprocess.SubprocessError, OSError):
        return ""
    return done.stdout.strip()
