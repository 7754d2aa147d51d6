"""A copy of the workflow in a folder of its own, run once to the end."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = (
    "Snakefile",
    "config.yaml",
    "configs",
    "envs",
    "profiles",
    "rules",
    "slurm",
    "stackbert",
    "stackbert_fairseq",
    "workflow",
    "README.md",
)


class Copy:
    """A copy of the repository's sources in which snakemake runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy(source, folder / part)
        shutil.copy(ROOT / "tests" / "workflow" / "tiny.yaml", folder)

    def snakemake(
        self, *arguments: str, configs: Sequence[str] = ("tiny.yaml",)
    ) -> subprocess.CompletedProcess[str]:
        """Run snakemake with the tiny configuration; standard output and error are one text."""
        command = [sys.executable, "-m", "snakemake", *arguments]
        if configs:
            command += ["--configfile", *configs]
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """Fresh sources without results."""
    return Copy(tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """The real DAG, every rule executed on the tiny configuration."""
    copy = Copy(tmp_path_factory.mktemp("finished"))
    run = copy.snakemake("--cores", "2")
    assert run.returncode == 0, run.stdout[-5000:]
    return copy
