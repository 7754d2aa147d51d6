"""Exports and predictions of the real DAG's models, on the real raw text of the tasks."""

import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stackbert.glue.predictions import read_predictions
from stackbert.glue.readers import Example, read_split
from stackbert.glue.tasks import entry, make_task
from stackbert.trained import task_checkpoint

if TYPE_CHECKING:
    from tests.workflow.conftest import Copy

ROWS = 200

# Only transformers: neither this package nor the network.
LOAD = """
import json, sys
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
folder, pairs, output = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True)
a, b = zip(*json.load(open(pairs)))
logits = []
for one, two in ((a, b), (b, a)) if b[0] is not None else ((a, None),):
    tokens = tokenizer(
        list(one), None if two is None else list(two), truncation=True, padding=True,
        return_tensors="pt",
    )
    with torch.no_grad():
        logits.append(model(**tokens).logits)
json.dump((sum(logits) / len(logits)).tolist(), open(output, "w"))
"""


def need_transformers() -> None:
    """Skip where transformers cannot be loaded; `make test` installs it."""
    if importlib.util.find_spec("transformers") is None:
        pytest.skip("transformers is not installed (requirements-export.lock)")
    if importlib.util.find_spec("torchaudio") is not None:
        pytest.skip("torchaudio is installed, which breaks transformers; the lock leaves it out")


@pytest.fixture(scope="module")
def exported(finished: "Copy") -> "Copy":
    run = finished.snakemake("--cores", "2", "export")
    assert run.returncode == 0, run.stdout[-3000:]
    return finished


def dev_rows(copy: "Copy", name: str) -> list[Example]:
    """The task's dev set in its raw text."""
    task = make_task(name, entry(name), downloaded=True)
    folder = copy.folder / "results" / "glue_raw" / name
    path = folder / task.splits["dev"].file
    return read_split(task, "dev", path, False, Counter())[:ROWS]


def predictions(copy: "Copy", name: str) -> list[str]:
    """What the run's own evaluation answered with the best seed of the first recipe."""
    task = make_task(name, entry(name))
    model = task_checkpoint(copy.folder / "results", task)
    assert model.parts[-4] == "stacking"
    rows = read_predictions(model.with_name("predictions.tsv"))
    return [row["prediction"] for row in rows][:ROWS]


def test_every_model_is_exported_once(exported: "Copy") -> None:
    folder = exported.folder / "results" / "export"
    for recipe in ("stacking", "scratch"):
        for part in (".", "STS-B", "RT"):
            assert (folder / recipe / part / "model.safetensors").exists()
    again = exported.snakemake("-n", "export")
    assert "Nothing to be done" in again.stdout, again.stdout[-3000:]


@pytest.mark.parametrize("name", ["STS-B", "RT"])
def test_predict_repeats_the_evaluation(exported: "Copy", name: str) -> None:
    lines = "".join(
        "\t".join(filter(None, (row.first, row.second))) + "\n" for row in dev_rows(exported, name)
    )
    done = subprocess.run(
        [sys.executable, "-m", "stackbert", "predict", "--task", name],
        input=lines,
        capture_output=True,
        text=True,
        cwd=exported.folder,
    )
    assert done.returncode == 0, done.stderr
    _compare(done.stdout.split(), predictions(exported, name), name)


@pytest.mark.parametrize("name", ["STS-B", "RT"])
def test_exported_model_repeats_the_evaluation(exported: "Copy", tmp_path: Path, name: str) -> None:
    need_transformers()
    rows = [(row.first, row.second) for row in dev_rows(exported, name)]
    (tmp_path / "pairs").write_text(json.dumps(rows))
    folder = exported.folder / "results" / "export" / "stacking" / name
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", LOAD, str(folder), "pairs", "logits"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    logits = json.loads((tmp_path / "logits").read_text())
    if name == "STS-B":
        answers = [str(2 * row[0] + 3) for row in logits]
    else:
        answers = [str(int(row[1] > row[0])) for row in logits]
    _compare(answers, predictions(exported, name), name)


def _compare(answers: list[str], expected: list[str], name: str) -> None:
    """Scores to 1e-3; labels the same but for ties, which batches of other shapes may part."""
    assert len(answers) == len(expected) > 0
    if name == "STS-B":
        assert [float(x) for x in answers] == pytest.approx([float(x) for x in expected], abs=1e-3)
    else:
        differing = sum(a != b for a, b in zip(answers, expected, strict=True))
        assert differing <= 1


def test_commands_of_the_document(exported: "Copy", tmp_path: Path) -> None:
    document = (Path(__file__).parents[2] / "docs" / "own_data.md").read_text(encoding="utf-8")
    blocks = [b.split("```")[0] for b in document.split("```sh\n")[1:]]
    commands = next(b for b in blocks if b.startswith("printf"))
    (exported.folder / "sentences.txt").write_text("A charming film.\nA dull one.\n")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        capture_output=True,
        text=True,
        cwd=exported.folder,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1 + 2 + 5  # a score, two labels, five words
    need_transformers()
    code = document.split("```python\n")[1].split("```")[0]
    environment |= {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=exported.folder,
        env=environment,
    )
    assert loaded.returncode == 0 and "token_str" in loaded.stdout, loaded.stderr[-3000:]
