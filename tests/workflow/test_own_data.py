"""What docs/own_data.md shows: an own task, and an own folder of text."""

import json
import random
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from stackbert.glue.predictions import read_predictions

if TYPE_CHECKING:
    from tests.workflow.conftest import Copy

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "own_data.md"
WORDS = {"glad": ["happy", "good", "love", "music"], "sad": ["war", "death", "bad", "against"]}


def shown(copy: "Copy", start: str) -> str:
    """What a dry run of the document's snakemake command that starts with `start` prints."""
    arguments = shlex.split(block("sh", start))[1:]
    run = copy.snakemake(*arguments, "-n", configs=[])
    assert run.returncode == 0, run.stdout[-3000:]
    return run.stdout


def block(language: str, start: str) -> str:
    """The document's code block that starts with `start`."""
    blocks = DOCUMENT.read_text(encoding="utf-8").split(f"```{language}\n")[1:]
    return next(b.split("```")[0] for b in blocks if b.startswith(start))


def write_rows(path: Path, count: int, seed: int) -> None:
    """An easy task: half of a sentence's words tell its label."""
    draw, lines = random.Random(seed), ["sentence\tlabel"]
    for _ in range(count):
        label = draw.choice(list(WORDS))
        words = [draw.choice(WORDS[label]) for _ in range(3)] + draw.sample(["the", "a", "of"], 3)
        draw.shuffle(words)
        lines.append(f"{' '.join(words).capitalize()}.\t{label}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_own_task(finished: "Copy") -> None:
    folder = finished.folder
    table = folder / "workflow" / "resources" / "glue_tasks.yaml"
    before = table.read_text(encoding="utf-8")
    write_rows(folder / "my_tasks" / "MOOD" / "train.tsv", 300, 1)
    write_rows(folder / "my_tasks" / "MOOD" / "dev.tsv", 80, 2)
    own: dict[str, Any] = yaml.safe_load((folder / "tiny.yaml").read_text())
    own["glue"] |= yaml.safe_load(block("yaml", "glue:"))["glue"]
    own["glue"] |= {"seeds": [1], "epochs": 4, "learning_rate": 0.02}
    (folder / "my_task.yaml").write_text(yaml.safe_dump(own, sort_keys=False))
    try:
        table.write_text(before + "\n" + block("yaml", "MOOD:"), encoding="utf-8")
        assert "MOOD" in shown(finished, "snakemake --cores 2 glue")
        target = "results/glue/stacking/MOOD/seed1/scores.json"
        run = finished.snakemake("--cores", "2", target, configs=["my_task.yaml"])
        assert run.returncode == 0, run.stdout[-3000:]
        assert "train_stage" not in run.stdout  # no model is trained again
        scores = json.loads((folder / target).read_text())
        assert scores["examples"] == 80 and scores["metrics"]["accuracy"] > 0.7
        rows = read_predictions(folder / target.replace("scores.json", "predictions.tsv"))
        lines = (folder / "my_tasks" / "MOOD" / "dev.tsv").read_text().splitlines()[1:]
        done = subprocess.run(
            [sys.executable, "-m", "stackbert", "predict", "--task", "MOOD"],
            input="".join(line.split("\t")[0] + "\n" for line in lines),
            capture_output=True,
            text=True,
            cwd=folder,
        )
        assert done.stdout.split() == [row["prediction"] for row in rows], done.stderr
    finally:
        table.write_text(before, encoding="utf-8")


def has_books() -> bool:
    """Whether the configuration knows folders of text."""
    schema = (ROOT / "workflow" / "schemas" / "config.schema.yaml").read_text(encoding="utf-8")
    return "books" in yaml.safe_load(schema)["properties"]["corpus"]["properties"]


@pytest.mark.skipif(not has_books(), reason="the configuration has no corpus.books")
def test_own_text(copy: "Copy") -> None:
    draw = random.Random(1)
    words = [
        "the",
        "quick",
        "brown",
        "zyzzyva",
        "jumps",
        "over",
        "many",
        "lazy",
        "dogs",
        "in",
        "town",
    ]
    for number in range(3):
        sentences = (" ".join(draw.choices(words, k=14)).capitalize() + "." for _ in range(400))
        text = "\n".join(" ".join(pair) for pair in zip(sentences, sentences, strict=True))
        path = copy.folder / "my_text" / f"book{number}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    own: dict[str, Any] = yaml.safe_load((copy.folder / "tiny.yaml").read_text())
    own["corpus"] = own.get("corpus", {}) | yaml.safe_load(block("yaml", "corpus:"))["corpus"]
    own["bpe"]["merges"] = 50
    (copy.folder / "my_text.yaml").write_text(yaml.safe_dump(own, sort_keys=False))
    assert "read_books" in shown(copy, "snakemake --cores 2 --configfile my_text.yaml")
    target = "results/pretrain/scratch/L2/checkpoint.pt"
    run = copy.snakemake("--cores", "2", target, configs=["my_text.yaml"])
    assert run.returncode == 0, run.stdout[-3000:]
    assert not (copy.folder / "results" / "corpus" / "dump.xml.bz2").exists()
    dictionary = (copy.folder / "results" / "bin" / "dict.txt").read_text(encoding="utf-8")
    assert "\nzyzzyva " in f"\n{dictionary}"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "stackbert",
            "fill-mask",
            "--recipe",
            "scratch",
            "The <mask> jumps.",
        ],
        capture_output=True,
        text=True,
        cwd=copy.folder,
    )
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 5, done.stderr
