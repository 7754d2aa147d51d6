"""`snakemake --profile slurm` on a real Slurm: to the end, through failures, cancels and kills."""

import os
import re
import shutil
import signal
import subprocess
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
import torch
import yaml

from stackbert.checkpoint import load_checkpoint
from tests.slurm.conftest import LONG, Workflow, jobs, wait

CHECKPOINT = Path("pretrain/stacking/L1/checkpoint.pt")


def train_jobs(*states: str) -> list[str]:
    return [job for job, rule in jobs(*states).items() if "train_stage" in rule]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """The whole workflow; the job of the long stage is cancelled once, half-way."""
    flow = Workflow(tmp_path_factory.mktemp("finished"))
    together = 0
    process = flow.start()

    def watch() -> bool:
        nonlocal together
        together = max(together, len(jobs("RUNNING")))
        return flow.trained() >= 15 or process.poll() is not None

    wait(watch, "15 updates of the long stage", 400)
    assert process.poll() is None, flow.said.read_text()[-5000:]
    before = train_jobs("RUNNING")
    long = [job for job in before if "stacking" in jobs()[job]] or before
    subprocess.run(["scancel", long[0]], check=True)
    assert process.wait() == 0, flow.said.read_text()[-5000:]
    assert together >= 2
    return flow


def _take_corpus(source: Workflow, flow: Workflow) -> None:
    """Its binarized text, as if this workflow had made it."""
    shutil.copytree(source.results / "bin", flow.results / "bin")
    (flow.results / "tables").mkdir()
    shutil.copy2(source.results / "tables" / "corpus.tsv", flow.results / "tables")
    shutil.copytree(source.folder / ".snakemake" / "metadata", flow.folder / ".snakemake/metadata")


def assert_same(one: Path, other: Path) -> None:
    first, second = (load_checkpoint(path)["model"] for path in (one, other))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_to_the_end_with_a_cancelled_job_that_continued(finished: Workflow) -> None:
    assert list((finished.results / "figures").glob("*.svg"))
    assert "Trying to restart job" in finished.said.read_text()
    first, second = finished.began()
    assert first == 0 and second >= 15
    # Every update was made once: nothing was lost and nothing done twice.
    assert finished.trained() == LONG["updates"] - second


def test_a_failed_job_is_reported_with_its_log(tmp_path: Path) -> None:
    flow = Workflow(tmp_path)
    dump = flow.folder / "dump.bz2"
    dump.write_bytes(b"no bzip2")
    (flow.folder / "bad.yaml").write_text(
        f"corpus: {{dump: {{package: null, member: null, sha256: null, path: {dump}}}}}\n"
    )
    target = "results/corpus/articles.jsonl"
    run = flow.start("--retries", "0", target, configs=["bad.yaml"])
    assert run.wait() != 0
    said = flow.said.read_text()
    assert re.search(r"extract failed: .*dump.*\(log: \S*logs/extract/extract\.log", said), said


def test_limit_warning_interrupt_and_kill(finished: Workflow, tmp_path: Path) -> None:
    """One stage through a time limit, Slurm's warning, Ctrl-C and SIGKILL of the login process."""
    flow = Workflow(tmp_path)
    _take_corpus(finished, flow)
    command = (f"results/{CHECKPOINT}", "--set-resources", "train_stage:gpu=1")

    process = flow.start(*command, "train_stage:runtime=1")
    asleep(flow, 1)
    shown = subprocess.run(
        ["scontrol", "show", "job", "-d", running()], capture_output=True, text=True
    ).stdout
    assert re.search(r"GRES=gpu:fake:1\(IDX:[01]\)", shown), shown
    wait(lambda: "stopped by SIGTERM" in flow.slurm_logs(), "the end by the time limit")
    assert "DUE TO TIME LIMIT" in flow.slurm_logs()
    # What --signal=USR1@120 of the profile has Slurm send two minutes before the limit.
    training = asleep(flow, 2)
    subprocess.run(["scancel", "--signal=USR1", running()], check=True)
    training.resume()
    asleep(flow, 3)
    assert "stopped by SIGUSR1" in flow.slurm_logs()

    os.killpg(process.pid, signal.SIGINT)
    process.wait()
    wait(lambda: not jobs(), "no job after Ctrl-C", 60)

    process = flow.start(*command)
    asleep(flow, 4)
    process.kill()
    process.wait()
    orphan = running()
    assert flow.snakemake("--unlock").returncode == 0
    assert flow.start(*command).wait() == 0, flow.said.read_text()[-5000:]
    assert f"stopping Slurm job {orphan}, left from a run that was killed" in flow.slurm_logs()
    # Cut in other places, the same weights.
    assert_same(flow.results / CHECKPOINT, finished.results / CHECKPOINT)
    began = flow.began()
    assert len(began) == 5 and all(later > earlier for earlier, later in pairwise(began))


def asleep(flow: Workflow, number: int) -> psutil.Process:
    """Wait until the `number`-th job of the long stage trains, and send its training to sleep.

    Slurm wakes it when it ends the job, so that no test depends on the machine's speed.
    """

    def trains() -> bool:
        # The process after its job, and its part of the log, before which there is an older job's.
        began = len(flow.began()) == number and training_in(flow.folder) is not None
        return began and flow.trained() >= 4

    wait(trains, f"job {number} trains")
    process = training_in(flow.folder)
    assert process is not None
    process.suspend()
    return process


def training_in(folder: Path) -> psutil.Process | None:
    """The training process of the workflow in `folder`, None before it has begun."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if "stackbert_fairseq.train" in process.cmdline() and process.cwd() == str(folder):
                return process
    return None


def running() -> str:
    [job] = train_jobs("RUNNING")
    return job


def test_a_stage_of_several_processes_started_by_srun(finished: Workflow, tmp_path: Path) -> None:
    flow = Workflow(tmp_path)
    _take_corpus(finished, flow)
    config = yaml.safe_load((tmp_path / "tiny.yaml").read_text())
    config["pretrain"]["devices"] = 2
    (tmp_path / "two.yaml").write_text(yaml.safe_dump(config))
    target = "results/pretrain/scratch/L2/checkpoint.pt"
    resources = ["train_stage:mpi=srun", "train_stage:tasks=2", "train_stage:mem_mb=2000"]
    run = flow.start(target, "--set-resources", *resources, configs=["two.yaml"])
    assert run.wait() == 0, flow.said.read_text()[-5000:]
    assert "training on 2 devices" in flow.log("train_stage", "scratch.L2")
