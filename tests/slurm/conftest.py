"""A real Slurm on this machine while these tests run, and the workflow as its user sees it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import Copy

SLURM = Path(__file__).with_name("slurm.sh")
# Half a minute of training, saved by nothing but a signal; beside it a stage that is soon done.
LONG = {"layers": 1, "updates": 60, "lr": [[0, 1e-3], [60, 1e-3]], "seed": 1}
CONFIG = {
    "save_minutes": 0,
    "pretrain": {
        "max_positions": 64,
        "tokens_per_update": 32768,
        "tokens_per_batch": 2048,
        "validate_every": 100,
        "checkpoint_every": 100000,
        "log_every": 1,
    },
    "recipes": {
        "stacking": [
            LONG,
            {"layers": 2, "updates": 2, "lr": [[0, 1e-3], [2, 1e-6]], "seed": 2, "grow": "stack"},
        ],
        "scratch": [{"layers": 2, "updates": 2, "lr": [[0, 1e-3], [2, 1e-6]], "seed": 1}],
    },
}


@pytest.fixture(scope="module", autouse=True)
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Start Slurm, and stop it again whatever happens."""
    programs = ("slurmctld", "slurmd", "munged", "squeue")
    missing = [program for program in programs if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        why = f"{', '.join(missing)} not installed" if missing else "Slurm's daemons need root"
        pytest.skip(f"{why}: make test-slurm, as root, installs Slurm and runs these tests")
    if Path("/etc/slurm/slurm.conf").exists():
        pytest.skip("this machine has a Slurm of its own (/etc/slurm/slurm.conf)")
    folder = tmp_path_factory.mktemp("slurm")
    try:
        subprocess.run([SLURM, "start", folder], check=True)
        yield
    finally:
        subprocess.run([SLURM, "stop", folder], check=True)


class Workflow(Copy):
    """A copy of the sources, run by `snakemake --profile slurm`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        config = yaml.safe_load((folder / "tiny.yaml").read_text())
        config["glue"] |= {"tasks": []}
        (folder / "tiny.yaml").write_text(yaml.safe_dump(config | CONFIG))
        self.said = folder / "said.txt"
        self.results = folder / "results"

    def start(self, *arguments: str, configs: Sequence[str] = ()) -> "subprocess.Popen[bytes]":
        """Type the command, with status checks every 3 seconds instead of 40."""
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        command = ["snakemake", "--profile", "slurm", *arguments]
        command += ["--configfile", "tiny.yaml", *configs, "--slurm-keep-successful-logs"]
        with open(self.said, "ab") as file:
            return subprocess.Popen(
                [*command, "--slurm-init-seconds-before-status-checks", "3"],
                cwd=self.folder,
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # A shell in the background has it ignored, which would be inherited.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def log(self, rule: str, name: str) -> str:
        """What a rule's job wrote."""
        path = self.results / "logs" / rule / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def slurm_logs(self) -> str:
        """What the plug-in keeps of the jobs' own output."""
        logs = self.folder.glob(".snakemake/slurm_logs/**/*.log")
        return "".join(path.read_text() for path in logs)

    def trained(self) -> int:
        """Updates of the long stage in its newest job, whose part of the log begins with `$`."""
        log = "\n" + self.log("train_stage", "stacking.L1")
        return log.rpartition("\n$ ")[2].count(" | train_inner | ")

    def began(self) -> list[int]:
        """Updates that were done when each job of the long stage began, in order."""
        found = re.findall(rf"(\d+) of {LONG['updates']} updates done", self.slurm_logs())
        return sorted(map(int, found))


def jobs(*states: str) -> dict[str, str]:
    """Slurm's jobs in these states (all without): comment, which names the rule, by id."""
    filters = ["--states", ",".join(states or ("PENDING", "RUNNING", "COMPLETING"))]
    out = subprocess.run(
        ["squeue", "--noheader", "--format", "%i %k", *filters],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return dict(line.split(maxsplit=1) for line in out.splitlines())


def wait(condition: Callable[[], object], what: str, seconds: float = 240) -> None:
    """Wait until `condition` is true; fail with `what` was waited for when it takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.3)
