"""Full and read-only disks, deleted files, other settings, two runs at once, odd names."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import Copy

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
CODES = "results/bpe/codes"
BIN, TABLE = "results/bin/train.bin", "results/tables/corpus.tsv"


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A small file system of its own at `folder`."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this machine lets root mount nothing")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def with_dump(folder: Path, dump: Path) -> Copy:
    """Fresh sources that take the dump from a file on this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    copy = Copy(folder)
    config = yaml.safe_load((folder / "tiny.yaml").read_text())
    config["corpus"] = {
        "dump": dict.fromkeys(("package", "member", "sha256")) | {"path": str(dump)}
    }
    (folder / "tiny.yaml").write_text(yaml.safe_dump(config))
    return copy


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A copy with its dump and its merges; a second run that began meanwhile was refused."""
    copy = Copy(tmp_path_factory.mktemp("base"))
    first = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "2", CODES, "--configfile", "tiny.yaml"],
        cwd=copy.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    said = ""
    for line in first.stdout or ():
        said += line
        if line == "localrule extract:\n":
            break
    first.send_signal(signal.SIGSTOP)  # so that it cannot have ended before the second looks
    second = copy.snakemake("--cores", "2", CODES)
    first.send_signal(signal.SIGCONT)
    said += first.communicate()[0]
    assert first.returncode == 0, said[-3000:]
    assert second.returncode != 0 and "cannot be locked" in second.stdout, second.stdout[-3000:]
    assert "rule extract" not in second.stdout and "Unlocked" not in second.stdout
    return copy


def test_two_runs_at_once(base: Copy) -> None:
    """The first went on and ended well, the second was told to wait."""
    assert "Nothing to be done" in base.snakemake("-n", CODES).stdout


def test_a_deleted_file_is_made_again_the_same(base: Copy) -> None:
    codes = base.folder / CODES
    before = codes.read_bytes()
    codes.unlink()
    run = base.snakemake("--cores", "2", CODES)
    assert run.returncode == 0, run.stdout[-3000:]
    assert codes.read_bytes() == before


def test_results_of_other_settings_are_rebuilt(base: Copy) -> None:
    config = yaml.safe_load((base.folder / "tiny.yaml").read_text())
    config["bpe"]["merges"] += 1
    (base.folder / "other.yaml").write_text(yaml.safe_dump(config))
    run = base.snakemake("-n", CODES, configs=["other.yaml"])
    assert "rule learn_bpe" in run.stdout and "params have changed" in run.stdout.lower()
    assert "rule download_dump" not in run.stdout


@needs_root
@pytest.mark.parametrize("size", ["1M", "3M"])
def test_a_full_disk_stops_and_goes_on_when_there_is_room(
    base: Copy, tmp_path: Path, size: str
) -> None:
    """1 MB holds no dump; 3 MB the dump and not its text."""
    copy = Copy(tmp_path)
    with mounted(tmp_path / "results", f"size={size}"):
        run = copy.snakemake("--cores", "1", CODES)
        assert run.returncode != 0
        assert "No space left on device. Free space" in run.stdout, run.stdout[-3000:]
        assert "Traceback" not in run.stdout
        left = [path for path in (tmp_path / "results").rglob("*") if path.suffix == ".tmp"]
        assert not left
        mount = ["mount", "-o", "remount,size=500M", str(tmp_path / "results")]
        subprocess.run(mount, check=True)
        again = copy.snakemake("--cores", "2", CODES)
        assert again.returncode == 0, again.stdout[-3000:]
        assert (tmp_path / CODES).read_bytes() == (base.folder / CODES).read_bytes()


@needs_root
@pytest.mark.parametrize(
    ("before", "target", "step", "room"),
    [
        (["results/bpe/1-of-2.train.txt", "results/bpe/2-of-2.train.txt"], BIN, "binarize", 24),
        ([BIN, TABLE], "results/figures/corpus.svg", "corpus_report", 3),
    ],
)
def test_a_disk_that_fills_up_later(
    base: Copy, tmp_path: Path, before: list[str], target: str, step: str, room: int
) -> None:
    """Nothing is left that a later run would take for whole; `room` is in pages, for the log."""
    copy, results = Copy(tmp_path), tmp_path / "results"
    with mounted(results, "size=500M"):
        made = copy.snakemake("--cores", "2", "--notemp", *before)
        assert made.returncode == 0, made.stdout[-3000:]
        used = sum(path.stat().st_blocks * 512 for path in results.rglob("*"))
        size = used + room * 4096
        subprocess.run(["mount", "-o", f"remount,size={size}", str(results)], check=True)
        run = copy.snakemake("--cores", "2", "--notemp", target)
        assert run.returncode != 0
        assert f"{step} failed: " in run.stdout and "No space left on device" in run.stdout
        assert "Traceback" not in run.stdout, run.stdout[-3000:]
        assert not (tmp_path / target).exists()
        subprocess.run(["mount", "-o", "remount,size=500M", str(results)], check=True)
        again = copy.snakemake("--cores", "2", target)
        assert again.returncode == 0, again.stdout[-3000:]
        assert (tmp_path / target).exists()


@needs_root
def test_a_read_only_results_folder_is_named(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    with mounted(tmp_path / "results", "ro"):
        run = copy.snakemake("--cores", "1", CODES)
    assert run.returncode != 0
    assert "Read-only file system" in run.stdout and "results" in run.stdout


def test_odd_names_reach_no_shell(base: Copy, tmp_path: Path) -> None:
    """Folders with spaces, quotes, ; and $() run to a trained stage and execute nothing."""
    folder = tmp_path / "a b;'q' \"d\" $(touch owned) `touch owned` & #"
    dump = folder / "du mp;$(touch owned).xml.bz2"
    copy = with_dump(folder, dump)
    shutil.copy(base.folder / "results" / "corpus" / "dump.xml.bz2", dump)
    run = copy.snakemake("--cores", "2", "results/pretrain/stacking/L2/checkpoint.pt")
    assert run.returncode == 0, run.stdout[-3000:]
    assert (folder / CODES).read_bytes() == (base.folder / CODES).read_bytes()
    assert not list(tmp_path.rglob("owned"))
    refused = copy.snakemake("-n", "--config", 'glue={"tasks": ["RT; touch owned"]}')
    assert "error: config key glue.tasks" in refused.stdout and refused.returncode != 0
