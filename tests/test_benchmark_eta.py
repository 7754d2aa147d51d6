"""The replay of a finished run: the estimate at each point beside the time that was really left."""

import json
import os
from datetime import datetime
from importlib import import_module
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
BEGUN = datetime(2026, 11, 23, 6, 0, 0).timestamp()


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(BEGUN + seconds).strftime("[%a %b %d %H:%M:%S %Y]")


def test_a_steady_run_is_foretold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage of 100 updates of a second each, after a start of 5 s: told from its log."""
    log = f"""Provided cores: 1
Job stats:
job            count
-----------  -------
train_stage        1
total              1

{stamp(0)}
localrule train_stage:
    jobid: 1
    wildcards: recipe=a, stage=L1
{stamp(50)}
{stamp(105)}
Finished jobid: 1 (Rule: train_stage)
"""
    (tmp_path / ".snakemake" / "log").mkdir(parents=True)
    (tmp_path / ".snakemake" / "log" / "1.snakemake.log").write_text(log)
    lines = []
    for update in range(5, 101, 5):
        said = datetime.fromtimestamp(BEGUN + 5 + update).isoformat(" ", "milliseconds")
        stats = {"mlm_loss": "6", "wps": "10", "num_updates": str(update), "loss": "6"}
        lines.append(f"{said.replace('.', ',')} | INFO | train_inner | {json.dumps(stats)}\n")
    logs = tmp_path / "results" / "logs" / "train_stage"
    logs.mkdir(parents=True)
    (logs / "a.L1.log").write_text("".join(lines))
    done = tmp_path / "results" / "pretrain" / "a" / "L1" / "checkpoint.pt"
    done.parent.mkdir(parents=True)
    done.touch()
    os.utime(done, (BEGUN + 105, BEGUN + 105))
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    stage = {"layers": 1, "updates": 100, "lr": [[0, 1e-3], [100, 1e-3]], "seed": 1}
    config |= {"recipes": {"a": [stage]}, "control": "a", "threads": 1}
    config["glue"]["tasks"] = []
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.chdir(tmp_path)
    found = import_module("eta").replay(tmp_path, config, (0.05, 0.3, 0.5, 0.9))
    assert (found["seconds"], found["jobs"]) == (105, 1)
    assert [row["real_s"] for row in found["rows"]] == [100, 74, 52, 10]
    assert found["rows"][0]["ratio"] != 1.0  # nothing measured yet
    # the log says something every five updates
    assert all(abs(row["estimated_s"] - row["real_s"]) <= 5 for row in found["rows"][1:]), found
