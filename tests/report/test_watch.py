"""`make watch`: reading the logs of a run, and the time that is left from measured speed."""

import json
import os
import pty
import re
import subprocess
import sys
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from stackbert.flops import stage_flops
from stackbert.report.plan import resolve
from stackbert.report.runlog import newest_log, read_log, read_pace
from stackbert.report.watch import Task, lines, makespan, seconds_left
from tests.workflow.conftest import Copy

LOG = """Provided cores: 2
Job stats:
job            count
-----------  -------
train_stage        2
loss_report        1
all                1
total              4

[{begun}]
localrule train_stage:
    output: results/pretrain/a/L1/checkpoint.pt
    jobid: 4
    wildcards: recipe=a, stage=L1
[{begun}]
localrule train_stage:
    jobid: 7
    wildcards: recipe=b, stage=L1
[{ended}]
Finished jobid: 7 (Rule: train_stage)
1 of 4 steps (25%) done
"""


def snakemake_log(begun: float, ended: float) -> str:
    """The log above with its two times, in seconds since the epoch."""
    begun_text, ended_text = (
        datetime.fromtimestamp(moment).strftime("%a %b %d %H:%M:%S %Y") for moment in (begun, ended)
    )
    return LOG.format(begun=begun_text, ended=ended_text)


def train_log(path: Path, begun: float, updates: list[int], each: float) -> None:
    """A fairseq log whose updates take `each` seconds."""
    rows = []
    for update in updates:
        stamp = (
            datetime.fromtimestamp(begun + 5 + update * each)
            .isoformat(" ", "milliseconds")
            .replace(".", ",")
        )
        stats = {"mlm_loss": "6.5", "wps": "1234.5", "num_updates": str(update), "loss": "7"}
        rows.append(f"{stamp} | INFO | train_inner | {json.dumps(stats)}\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("start\n" + "".join(rows) + "2026-11-23 06", encoding="utf-8")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Two recipes of one stage each and no fine-tuning, in an empty folder."""
    config = resolve([])
    stage = {"layers": 1, "updates": 100, "lr": [[0, 1e-3], [100, 1e-3]], "seed": 1}
    config |= {"recipes": {"a": [stage], "b": [stage | {"seed": 2}]}, "control": "a", "threads": 1}
    config["glue"] = config["glue"] | {"tasks": []}
    monkeypatch.chdir(tmp_path)
    return config


def test_log_of_a_run() -> None:
    now = float(int(time.time()))
    run = read_log(snakemake_log(now - 90, now - 30))
    assert run.counts == {"train_stage": 2, "loss_report": 1} and run.cores == 2 and not run.over
    assert [job.name for job in run.running()] == ["train_stage a L1"]
    assert run.left() == {"train_stage": 1, "loss_report": 1}
    assert run.seconds("train_stage") == run.seconds("train_stage", {"recipe": "b"}) == 60.0
    assert run.seconds("loss_report") is run.seconds("train_stage", {"recipe": "c"}) is None
    assert read_log(snakemake_log(now, now) + "Complete log(s): x\n").over


def test_pace_of_a_training_log(tmp_path: Path) -> None:
    now = float(int(time.time()))
    train_log(tmp_path / "log", now, [10, 20, 40], each=2)
    pace = read_pace(tmp_path / "log", since=now)
    assert pace and (pace.update, pace.seconds_per_update, pace.start) == (40, 2.0, 5.0)
    assert (pace.loss, pace.tokens_per_second) == (6.5, 1234.5)
    assert read_pace(tmp_path / "log", since=now + 1000) is None
    assert read_pace(tmp_path / "none") is None
    (tmp_path / "old").write_text((tmp_path / "log").read_text().replace(",000 |", " |"))
    assert read_pace(tmp_path / "old", since=now) == pace


def test_makespan_on_one_and_two_slots() -> None:
    tasks = {"a": Task(3), "b": Task(2, ("a",)), "c": Task(4), "d": Task(1, ("b", "c"))}
    assert makespan(tasks, 1) == 10 and makespan(tasks, 2) == 6 and makespan({}, 2) == 0
    with pytest.raises(ValueError, match="wait for each other: x"):
        makespan({"x": Task(1, ("x",))}, 1)


def test_time_left_is_that_of_the_measured_pace(config: dict[str, Any]) -> None:
    now = float(int(time.time()))
    begun = now - 65
    run = read_log(snakemake_log(begun, now))
    folder = Path("results/pretrain/b/L1")
    folder.mkdir(parents=True)
    (folder / "checkpoint.pt").touch()
    train_log(Path("results/logs/train_stage/a.L1.log"), begun, [10, 20, 30], each=2)
    shown = dict(lines(config, run, guess=1e9))
    # 70 updates of 2 s are left, and one job of the report.
    assert shown["run"] == "1 of 3 jobs, about 2 min 22 s left"
    assert "stage 1 of 1, update 30 of 100, MLM loss 6.500" in shown["train_stage a L1"]


def test_deeper_stages_are_timed_by_their_flops(config: dict[str, Any]) -> None:
    now = float(int(time.time()))
    run = read_log(snakemake_log(now - 65, now))
    deep = config["recipes"]["a"][0] | {"layers": 4, "grow": "stack"}
    config["recipes"] = {"a": [config["recipes"]["a"][0], deep]}
    train_log(Path("results/logs/train_stage/a.L1.log"), now - 65, [10, 20, 30], each=2)
    stages = config["recipes"]["a"]
    ratio = stage_flops(config, stages, 1) / stage_flops(config, stages, 0)
    paces = {"a/L1": read_pace("results/logs/train_stage/a.L1.log", now - 65)}
    left = seconds_left(config, run, paces, guess=1e9)  # type: ignore[arg-type]
    assert left == pytest.approx(70 * 2 + 5 + 100 * 2 * ratio + 1.5)


def test_plain_lines_of_a_run_that_is_over(project: Path) -> None:
    assert newest_log(project / ".snakemake" / "log")
    environment = os.environ | {"PYTHONPATH": str(project)}
    command = [sys.executable, "-m", "stackbert.report.watch"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("run: ") and done.stdout.strip().endswith("jobs, over")


def test_no_run_is_one_line(tmp_path: Path) -> None:
    root = str(Path(__file__).resolve().parents[2])
    command = [sys.executable, "-m", "stackbert.report.watch"]
    environment = os.environ | {"PYTHONPATH": root}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert done.stderr == "error: no run in this folder yet: start one with make run\n"


def on_a_terminal(folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit code of a run under the live view, and what a terminal showed of it."""
    command = [sys.executable, "-m", "stackbert.report.watch", "--run", "--cores", "1"]
    child, terminal = pty.fork()
    if not child:
        os.chdir(folder)
        os.execve(sys.executable, [*command, *arguments], os.environ | {"TERM": "xterm"})
    shown = b""
    with suppress(OSError):  # the terminal is gone when its process has ended
        while data := os.read(terminal, 1024):
            shown += data
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown.decode()


def test_a_run_on_a_terminal_shows_jobs_and_why_it_failed(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    tables = ["results/figures/rulegraph.svg", "--configfile", "tiny.yaml"]
    code, shown = on_a_terminal(tmp_path, *tables)
    assert code == 0, shown
    assert re.search(r"run +0 of 1 jobs, about \d+ s left", shown) and "1 of 1 steps" in shown
    (tmp_path / "bad.yaml").write_text(
        "corpus: {dump: {package: null, member: null, sha256: null, path: none.bz2}}\n"
    )
    configs = ["--configfile", "tiny.yaml", "bad.yaml"]
    code, shown = on_a_terminal(copy.folder, "results/corpus/dump.xml.bz2", *configs)
    assert code == 1 and "download_dump failed: " in shown and "none.bz2" in shown
    assert "All that snakemake said: .snakemake/said.txt" in shown
    assert (tmp_path / ".snakemake" / "said.txt").read_text().count("download_dump") > 1
