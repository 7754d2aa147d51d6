"""The benchmark of speed ends with the line of JSON that it promises."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugin.test_train import data  # noqa: F401

ROOT = Path(__file__).parents[1]
SMALL = {"layers": 2, "width": 16, "tokens": 512, "warmup": 1, "updates": 2, "repeats": 1}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_last_line(data: Path, precision: str) -> None:  # noqa: F811
    command = [sys.executable, str(ROOT / "benchmarks" / "throughput.py"), "--data", str(data)]
    command += [part for key, value in SMALL.items() for part in (f"--{key}", str(value))]
    # transformers' Trainer needs packages that are not among those of the tests
    command += ["--device", "cpu", "--precision", precision, "--peers", "ours", "fairseq", "bare"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["precision"] == precision
    for peer in ("fairseq", "bare"):
        assert result[f"ours/{peer}"] == pytest.approx(result["ours"] / result[peer], rel=0.05)
    assert result["padding_share"] == 0 and 0 < result["data_wait_share"] < 1
    assert result["growth_pause_s"] > 0
