"""A stage of training that is stopped, killed or damaged goes on as if nothing had happened."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from stackbert.checkpoint import load_checkpoint, updates_done
from stackbert.errors import UserError
from stackbert.pretrain import LAST, _repair, train_stage
from tests.plugin.test_train import CONFIG

UPDATES = 200
STAGE = {"layers": 1, "updates": UPDATES, "lr": [[0, 1e-3], [UPDATES, 1e-3]], "seed": 1}
# Validation and the regular checkpoints fall on other updates than the stop.
PRETRAIN = CONFIG["pretrain"] | {"validate_every": 70, "checkpoint_every": 50, "log_every": 1}
SCRIPT = """
import json, sys
from stackbert.errors import run_step
from stackbert.pretrain import train_stage
arguments = json.loads(sys.argv[1])
run_step(lambda: train_stage(**arguments), arguments["log"])
"""


class Stage:
    """One stage in a folder of its own, trained by a process of its own as snakemake does."""

    def __init__(self, folder: Path, data: Path, save_minutes: float = 0, devices: int = 1) -> None:
        folder.mkdir()
        self.output = folder / "stage" / "checkpoint.pt"
        self.arguments = {
            "config": CONFIG | {"pretrain": PRETRAIN | {"devices": devices}},
            "stage": STAGE,
            "data": str(data),
            "init": None,
            "output": str(self.output),
            "log": str(folder / "log"),
            "name": "stage",
            "save_minutes": save_minutes,
        }

    def start(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT, json.dumps(self.arguments)],
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )

    def finish(self) -> str:
        process = self.start()
        error = process.communicate()[1]
        assert process.returncode == 0, error
        return error

    def interrupt(self, act: Callable[["subprocess.Popen[str]"], None], update: int) -> str:
        """Let `act` do its worst to the process after `update`; return its last words."""
        process = self.start()
        seen = ""
        for line in process.stderr or ():
            seen += line
            if f"update {update}/" in line:
                act(process)
                break
        else:
            pytest.fail(seen)
        seen += process.communicate()[1]
        assert process.wait() != 0
        return seen

    def last(self) -> int:
        """Updates of the checkpoint that the next attempt goes on from."""
        return updates_done(load_checkpoint(self.output.parent / "rolling" / "checkpoint_last.pt"))


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The stage trained without interruption."""
    stage = Stage(tmp_path_factory.mktemp("whole") / "run", data)
    stage.finish()
    return stage


def assert_same(stage: Stage, other: Stage) -> None:
    """Weights, optimizer state and the curve but for its seconds."""
    one, two = load_checkpoint(stage.output), load_checkpoint(other.output)
    for part in ("model", "last_optimizer_state"):
        torch.testing.assert_close(one[part], two[part], rtol=0, atol=0, equal_nan=True)
    curves = [
        pd.read_csv(each.output.with_name("curve.tsv"), sep="\t").drop(columns="seconds")
        for each in (stage, other)
    ]
    pd.testing.assert_frame_equal(*curves, check_exact=True)


def tell(number: signal.Signals) -> Callable[["subprocess.Popen[str]"], None]:
    return lambda process: process.send_signal(number)


def test_a_stop_saves_first(data: Path, whole: Stage, tmp_path: Path) -> None:
    stage = Stage(tmp_path / "run", data)
    stops = {signal.SIGTERM: 83, signal.SIGUSR1: 120, signal.SIGINT: 160}
    for number, update in stops.items():
        said = stage.interrupt(tell(number), update)
        assert f"stopped by {number.name}; run the same command again to continue" in said
        assert stage.last() >= update
    assert f"{stage.last()} of {UPDATES} updates done" in stage.finish()
    assert_same(stage, whole)


def test_a_killed_stage_loses_minutes(data: Path, whole: Stage, tmp_path: Path) -> None:
    """SIGKILL of the launcher only: its training saves and ends, the next attempt waits for it."""
    stage = Stage(tmp_path / "run", data, save_minutes=1e-6)
    stage.interrupt(lambda process: process.kill(), 33)
    assert_continues_late(stage, 33)
    # SIGKILL of the whole session, training included, as when the machine dies.
    stage.interrupt(lambda process: os.killpg(process.pid, signal.SIGKILL), 120)
    assert_continues_late(stage, 119)
    stage.finish()
    assert_same(stage, whole)


def assert_continues_late(stage: Stage, update: int) -> None:
    deadline = time.monotonic() + 60
    while stage.last() < update and time.monotonic() < deadline:
        time.sleep(0.1)
    assert stage.last() >= update


def test_a_second_job_of_a_stage_stops_the_first_and_goes_on(
    data: Path, whole: Stage, tmp_path: Path
) -> None:
    stage, second = Stage(tmp_path / "run", data), []
    first = stage.interrupt(lambda _: second.append(stage.finish()), 20)
    assert "stopped by SIGTERM" in first
    assert "left from a run that was killed" in second[0]
    assert f"\nstage: 0 of {UPDATES} updates done" not in second[0]
    assert_same(stage, whole)


def test_a_torn_checkpoint_is_told_and_the_one_before_is_used(
    data: Path, whole: Stage, tmp_path: Path
) -> None:
    stage = Stage(tmp_path / "run", data)
    stage.interrupt(tell(signal.SIGTERM), 83)
    rolling = stage.output.parent / "rolling"
    content = bytearray((rolling / LAST).read_bytes())
    content[len(content) // 2] ^= 1
    for damaged in (content[: len(content) // 2], b"", content):
        folder = shutil.copytree(rolling, tmp_path / f"copy{len(damaged)}")
        (folder / LAST).write_bytes(damaged)
        assert _repair(folder) == 50
    (rolling / LAST).write_bytes(content)
    assert f"50 of {UPDATES} updates done" in stage.finish()
    assert_same(stage, whole)


def test_an_explosion_stops_and_keeps_the_last_good_checkpoint(data: Path, tmp_path: Path) -> None:
    """Rates far too high, so that the loss rises first and gets no number later, if at all."""
    stage = Stage(tmp_path / "run", data, save_minutes=1e-6)
    stage.arguments["stage"] = STAGE | {"lr": [[0, 1e-3], [60, 1e-3], [70, 1e3], [UPDATES, 1e3]]}
    process = stage.start()
    error = process.communicate()[1].splitlines()[-1]
    assert process.returncode == 1
    assert "stage stopped: the loss" in error and "lower the learning rate (lr)" in error
    assert 50 <= stage.last() <= 75
    weights = load_checkpoint(stage.output.parent / "rolling" / "checkpoint_last.pt")["model"]
    assert all(tensor.isfinite().all() for tensor in weights.values())
    assert not stage.output.exists()
    # A retry does not train on what has exploded.
    with pytest.raises(UserError, match="holds the last good weights, after"):
        train_stage(**stage.arguments)


def test_two_processes_stop_together_and_continue(data: Path, tmp_path: Path) -> None:
    """By torchrun on this machine's processor; the sums of two differ from those of one."""
    through, stopped = (Stage(tmp_path / name, data, devices=2) for name in ("a", "b"))
    through.finish()
    assert "stopped by SIGTERM" in stopped.interrupt(tell(signal.SIGTERM), 83)
    assert stopped.last() >= 83
    stopped.finish()
    assert_same(stopped, through)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_stops_and_goes_on_when_there_is_room(
    data: Path, whole: Stage, tmp_path: Path
) -> None:
    stage = Stage(tmp_path / "run", data)
    folder = stage.output.parent
    folder.mkdir()
    size = 2 * whole.output.stat().st_size  # the third rolling checkpoint finds no room
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this machine lets root mount nothing")
    try:
        process = stage.start()
        error = process.communicate()[1].splitlines()[-1]
        assert process.returncode == 1
        assert "the disk is full; free space, then run the same command again" in error
        assert not stage.output.exists()
        subprocess.run(["mount", "-o", "remount,size=64M", str(folder)], check=True)
        assert f": 0 of {UPDATES} updates done" not in stage.finish()
        assert_same(stage, whole)
    finally:
        subprocess.run(["umount", str(folder)], check=True)
