"""Lock files, conda environments, Makefile and .ci/run: exact, complete, in agreement, lazy."""

import os
import re
import shutil
import subprocess
import time
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]


def pins(path: Path) -> dict[str, str]:
    """Versions by normalized name of a lock file; fails on anything that is no exact pin."""
    found: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            match = re.fullmatch(r"([A-Za-z0-9._-]+)==([0-9][A-Za-z0-9.]*)", line)
            assert match, f"{path.name}: no exact pin: {line}"
            name = canonicalize_name(match[1])
            assert name not in found, f"{path.name}: {name} twice"
            found[name] = match[2]
    return found


LOCK = pins(ROOT / "requirements.lock")
TEST_LOCK = pins(ROOT / "requirements-test.lock")
EXPORT_LOCK = pins(ROOT / "requirements-export.lock")


def test_lock_leaves_out_what_breaks_and_what_torch_brings() -> None:
    assert LOCK["torch"] == "2.13.0" and LOCK["ve-fairseq"] == "0.12.3"
    assert not {"torchaudio", "fairseq", "pytest", "pip"} & LOCK.keys()
    assert not [name for name in LOCK if name.startswith(("nvidia", "cuda", "triton"))]
    assert not LOCK.keys() & TEST_LOCK.keys() and not LOCK.keys() & EXPORT_LOCK.keys()


@pytest.mark.parametrize("name", [*LOCK, *TEST_LOCK, *EXPORT_LOCK])
def test_lock_is_installed_and_complete(name: str) -> None:
    lock = LOCK | TEST_LOCK | EXPORT_LOCK
    assert metadata.version(name).partition("+")[0] == lock[name]
    for line in metadata.requires(name) or []:
        needed = Requirement(line)
        wanted = needed.marker is None or needed.marker.evaluate({"extra": ""})
        own = canonicalize_name(needed.name)
        # torch brings CUDA's packages itself, and torchaudio is left out on purpose.
        if wanted and own != "torchaudio" and (name != "torch" or own in lock):
            assert own in lock, f"{name} needs {needed}, which no lock file has"
            assert needed.specifier.contains(lock[own], prereleases=True)


@pytest.mark.parametrize("path", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda p: p.name)
def test_conda_environments_have_the_lock_files_versions(path: Path) -> None:
    lists = [
        item["pip"]
        for item in yaml.safe_load(path.read_text(encoding="utf-8"))["dependencies"]
        if isinstance(item, dict)
    ]
    lines = [line for pip in lists for line in pip]
    script = path.with_name(f"{path.stem}.post-deploy.sh")
    if script.exists():
        lines += re.findall(r"\S+==\S+", script.read_text(encoding="utf-8"))
    assert lines
    for line in lines:
        name, _, version = line.partition("==")
        assert LOCK.get(canonicalize_name(name)) == version, f"{path.name}: {line}"


def executable(path: Path, script: str) -> None:
    """Write a shell script that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


def run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder; keeps what it prints."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=clean | environment
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Makefile, lock files and .ci/run, with a virtual environment that only writes down calls."""
    locks = ("requirements.lock", "requirements-test.lock", "requirements-export.lock")
    for name in ("Makefile", *locks, ".ci"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    for program in ("python", "snakemake"):
        script = f'echo "{program} $*" >> calls; [ "$2" != .snakemake/report.html ] || touch "$2"'
        executable(tmp_path / ".venv" / "bin" / program, script)
    for folder in (".snakemake/metadata", "workflow/report"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def calls(checkout: Path) -> list[str]:
    """What has been called since the last time this was asked."""
    path = checkout / "calls"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def test_another_python_is_refused_in_one_line(checkout: Path) -> None:
    executable(checkout / "old", '[ "$1" = --version ] && echo Python 3.9.1 || exit 1')
    done = run(checkout, "make", "run", "PYTHON=./old")
    assert done.returncode != 0 and calls(checkout) == []
    errors = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert errors == [
        "error: ./old is Python 3.9.1; StackingBERT needs Python 3.11 or 3.12: "
        "make run PYTHON=/path/to/python3.12"
    ]
    assert not (checkout / ".venv" / ".ready").exists()


def test_install_is_torch_first_then_the_lock_without_dependencies(checkout: Path) -> None:
    executable(checkout / "new", "exit 0")
    done = run(checkout, "make", "test", "PYTHON=./new")
    assert done.returncode == 0, done.stderr
    installs = [call.partition(" install ")[2] for call in calls(checkout) if " install " in call]
    assert installs == [
        "torch==2.13.0",
        "--no-deps -r requirements.lock",
        "--no-deps -r requirements-test.lock -r requirements-export.lock",
    ]


def test_second_run_installs_nothing_and_keeps_the_report(checkout: Path) -> None:
    (checkout / ".venv" / ".ready").touch()
    first = run(checkout, "make", "run", "CORES=2")
    assert first.returncode == 0, first.stderr
    assert calls(checkout) == [
        "snakemake --cores 2",
        "snakemake --report .snakemake/report.html",
    ]
    assert (checkout / "report.html").exists()

    second = run(checkout, "make", "run")
    assert "report.html is up to date." in second.stdout
    assert calls(checkout) == ["snakemake --cores all"]

    later = time.time() + 10
    job = checkout / ".snakemake" / "metadata" / "job"
    job.touch()
    os.utime(job, (later, later))
    assert "Wrote report.html" in run(checkout, "make", "run").stdout
    os.utime(checkout / "report.html", (later + 1, later + 1))
    calls(checkout)

    arguments = "ARGS=--configfile other.yaml --config 'glue={seeds: [1]}'"
    run(checkout, "make", "run", arguments)
    assert calls(checkout) == [
        "snakemake --cores all --configfile other.yaml --config glue={seeds: [1]}",
        "snakemake --report .snakemake/report.html --configfile other.yaml "
        "--config glue={seeds: [1]}",
    ]
    os.utime(checkout / "report.html", (later + 1, later + 1))
    assert "report.html is up to date." in run(checkout, "make", "run", arguments).stdout


def test_a_failed_run_makes_no_report(checkout: Path) -> None:
    (checkout / ".venv" / ".ready").touch()
    executable(checkout / ".venv" / "bin" / "snakemake", 'echo "snakemake $*" >> calls; exit 1')
    assert run(checkout, "make", "run").returncode != 0
    assert calls(checkout) == ["snakemake --cores all"]
    assert not (checkout / "report.html").exists()


def test_continuous_integration_runs_tests_then_faults_then_slurm(checkout: Path) -> None:
    tools = checkout / "tools"
    executable(tools / "make", 'echo "make $*" >> calls')
    executable(tools / "chromium", "exit 0")
    done = run(checkout, ".ci/run", PATH=f"{tools}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    assert calls(checkout) == ["make test", "make test-faults", "make test-slurm"]
    executable(tools / "make", "exit 3")
    assert run(checkout, ".ci/run", PATH=f"{tools}:{os.environ['PATH']}").returncode == 3
