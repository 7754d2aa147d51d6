"""The lab's script turns the comparison's table into the promised JSON."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]


def test_fields_of_the_json(tmp_path: Path) -> None:
    run = {"final_loss": 5.5, "train_loss": 5.6, "gap": -0.1, "seconds": 90.0, "flops": 1e12}
    run |= {"tokens": 4000, "to_seconds": 30.0, "to_seconds_gain": 3.0}
    rows = [
        {"arm": "scratch", "run": "scratch-seed1", **run},
        {"arm": "late", "run": "late-seed1", **run},
        {"arm": "late", "run": "late-seed2", **run, "to_seconds": None, "to_seconds_gain": None},
    ]
    table = pd.DataFrame(rows).assign(target_loss=5.5, unigram_loss=6.2)
    (tmp_path / "tables").mkdir()
    table.to_csv(tmp_path / "tables" / "comparison_runs.tsv", sep="\t", index=False)
    output = tmp_path / "growth_lab.json"
    command = [sys.executable, str(ROOT / "benchmarks" / "growth_lab.py")]
    command += ["--results", str(tmp_path), "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "late: final loss 5.500 5.500; to the control's 5.500 3.00x never" in done.stdout
    found = json.loads(output.read_text())
    assert found["unigram_loss"] == 6.2 and found["machine"]["cpu"] and "commit" in found
    assert found["arms"].keys() == {"scratch", "late"}
    assert found["arms"]["late"]["1"] == run
    assert found["arms"]["late"]["2"]["to_seconds"] is None
