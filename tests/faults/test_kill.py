"""The whole workflow, killed again and again, ends with the files of a run never interrupted.

KILLS=20 make test-faults kills 20 times; without the variable it is three times.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml

from stackbert.checkpoint import load_checkpoint
from tests.workflow.conftest import Copy

KILLS = int(os.environ.get("KILLS", "3"))
# Where the kills fall, in the order in which the steps come.
STEPS = (
    "extract",
    "clean",
    "tokenize",
    "learn_bpe",
    "binarize",
    "train_stage",
    "stack",
    "train_stage",
    "glue_finetune",
    "glue_table",
)
FEW = ("tokenize", "train_stage", "glue_finetune")
CONFIG = {
    "save_minutes": 0.01,
    "recipes": {
        "stacking": [
            {"layers": 1, "updates": 60, "lr": [[0, 1e-3], [60, 1e-3]], "seed": 1},
            {"layers": 2, "updates": 30, "lr": [[0, 1e-3], [30, 1e-6]], "seed": 2, "grow": "stack"},
        ],
        "scratch": [{"layers": 2, "updates": 5, "lr": [[0, 1e-3], [5, 1e-6]], "seed": 1}],
    },
}
TIMES = ("seconds", "speedup")


class Killed(Copy):
    """A copy whose runs can be killed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        config = yaml.safe_load((folder / "tiny.yaml").read_text()) | CONFIG
        config["glue"] |= {"tasks": ["RT"], "seeds": [1]}
        (folder / "tiny.yaml").write_text(yaml.safe_dump(config))
        self.results = folder / "results"

    def kill_at(self, step: str, after: float, everything: bool, *arguments: str) -> str | None:
        """Run, and kill snakemake (or all its processes) `after` seconds in `step`.

        Returns the steps that were running, or None if the run ended before.
        """
        environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        process = subprocess.Popen(
            ["snakemake", "--cores", "2", "--configfile", "tiny.yaml", *arguments],
            cwd=self.folder,
            env={k: v for k, v in environment.items() if k != "PYTHONPATH"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        said = self._until(process, step)
        time.sleep(after)
        if process.poll() is not None:
            said += process.communicate()[0]
            assert process.returncode == 0, said[-5000:]
            return None
        if everything:
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
        return ", ".join(dict.fromkeys([step, *self.running(said)]))

    @staticmethod
    def _until(process: "subprocess.Popen[str]", step: str) -> str:
        said = ""
        for line in process.stdout or ():
            said += line
            if line.startswith((f"rule {step}:", f"localrule {step}:")):
                break
        return said

    @staticmethod
    def running(said: str) -> list[str]:
        """Steps that had begun and not ended when `said` was all that snakemake had said."""
        begun = dict(re.findall(r"rule (\w+):\n(?:    .*\n)*?    jobid: (\d+)", said))
        ended = set(re.findall(r"Finished jobid: (\d+)", said))
        return [step for step, job in begun.items() if job not in ended]


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> tuple[Killed, Killed]:
    """One that was never interrupted, and one of the same sources that has not begun."""
    whole, other = (Killed(tmp_path_factory.mktemp(name)) for name in ("whole", "killed"))
    run = whole.snakemake("--cores", "2")
    assert run.returncode == 0, run.stdout[-5000:]
    return whole, other


def files(results: Path) -> Iterator[Path]:
    """What has to be identical: text, dictionary, data, weights, scores, tables."""
    patterns = ("bpe/codes", "bin/*", "pretrain/**/*.pt", "pretrain/**/curve.tsv", "tables/*.tsv")
    patterns += ("glue_data/**/*", "glue/**/*.pt", "glue/**/scores.json", "glue/**/*.tsv")
    for pattern in patterns:
        yield from (path.relative_to(results) for path in sorted(results.glob(pattern)))


def content(path: Path) -> object:
    """A file's bytes; without timings, and of a checkpoint the weights."""
    if path.suffix == ".pt":
        return {k: v.numpy().tobytes() for k, v in load_checkpoint(path)["model"].items()}
    if path.name == "scores.json":
        scores = json.loads(path.read_text())
        return {key: value for key, value in scores.items() if key not in TIMES}
    if path.suffix == ".tsv" and path.parent.name != "RT":
        table = pd.read_csv(path, sep="\t", dtype=str, quoting=3)
        return table.drop(columns=[c for c in table if c in TIMES]).to_csv()
    return path.read_bytes() if path.is_file() else None


def seconds(copy: Killed, step: str) -> float:
    """How long the step's longest job took."""
    found = (copy.results / "benchmarks" / step).glob("*.tsv")
    return max((pd.read_csv(path, sep="\t")["s"].max() for path in found), default=1.0)


def test_killed_runs_end_with_identical_files(
    copies: tuple[Killed, Killed], capsys: pytest.CaptureFixture[str]
) -> None:
    (whole, copy), made = copies, []
    rng = random.Random(int(os.environ.get("SEED", "1")))
    steps = FEW if len(FEW) >= KILLS else STEPS
    for number in range(KILLS):
        step = steps[number * len(steps) // KILLS]
        after, everything = rng.uniform(0, seconds(whole, step)), bool(rng.getrandbits(1))
        killed = copy.kill_at(step, after, everything)
        while killed is None:  # the step was done already, or was the last and too fast
            after /= 2
            killed = copy.kill_at(step, after, everything, "--forcerun", step)
        made.append(killed)
        unlocked = copy.snakemake("--unlock")
        assert unlocked.returncode == 0, unlocked.stdout[-3000:]
    run = copy.snakemake("--cores", "2")
    assert run.returncode == 0, run.stdout[-5000:]
    names = list(files(whole.results))
    assert names == list(files(copy.results)) and len(names) > 15
    different = [
        str(name) for name in names if content(whole.results / name) != content(copy.results / name)
    ]
    with capsys.disabled():
        print(f"\n{len(made)} kills, at: {'; '.join(made)}")
        print(f"{len(names) - len(different)} of {len(names)} final files identical")
    assert not different, different
