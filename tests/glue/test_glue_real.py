"""Proof of the harness on real files: a small model learns from them, from random weights."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from fairseq.data import Dictionary
from glue_helpers import SETTINGS

from stackbert.glue import tasks
from stackbert.glue.metrics import score
from stackbert.glue.predictions import read_predictions
from stackbert.glue.prepare import prepare, read_prepared
from stackbert.text import words
from stackbert.text.learn_bpe import learn
from stackbert.text.pipeline import TextPipeline

MODEL = SETTINGS["model"] | {"width": 64, "feed_forward": 128}


def prepared(name: str, source: Path, data: Path, rows: int) -> Path:
    """The first rows of a task through cleaning, tokenizer and a BPE of its own; its dictionary."""
    folder = data / "raw"
    folder.mkdir(parents=True)
    for split in ("train", "dev"):
        lines = (source / f"{split}.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / f"{split}.tsv").write_text("".join(lines[: rows + 1]), encoding="utf-8")
    text = (folder / "train.tsv").read_text(encoding="utf-8").splitlines()
    counts = Counter(word for line in text for word in words.tokenize(line).split())
    table = "".join(f"{word} {count}\n" for word, count in sorted(counts.items()))
    (data / "counts").write_text(table, encoding="utf-8")
    learn([data / "counts"], data / "codes", 2000)
    outputs = {key: str(data / name / f"{key}.tsv") for key in ("train", "dev", "test", "counts")}
    encode = TextPipeline(data / "codes").encode
    prepare(tasks.task(name), folder, encode, outputs, subset=True)
    dictionary = Dictionary()
    for row in read_prepared(outputs["train"]):
        dictionary.encode_line(f"{row['first']} {row['second']}", add_if_not_exist=True)
    dictionary.finalize(padding_factor=1)
    dictionary.save(str(data / "dict.txt"))
    return data / "dict.txt"


@pytest.mark.parametrize(
    ("name", "rows", "least", "settings"),
    [
        # The majority class of SST-2's dev set is 0.509.
        ("SST-2", 12000, 0.65, {"epochs": 2, "learning_rate": 1e-3}),
        ("STS-B", 5749, 0.10, {"epochs": 3, "learning_rate": 3e-3}),
    ],
)
def test_real_task_is_learnt(
    real_glue: Path,
    run: Callable[..., dict[str, Path]],
    tmp_path: Path,
    name: str,
    rows: int,
    least: float,
    settings: dict[str, float],
) -> None:
    dictionary = prepared(name, real_glue / name, tmp_path / "data", rows)
    outputs = run(name, dictionary=dictionary, model=MODEL, **settings)
    metrics = json.loads(outputs["scores"].read_text())["metrics"]
    assert next(iter(metrics.values())) > least, metrics
    table = read_predictions(outputs["predictions"])
    predictions, labels = ([row[key] for row in table] for key in ("prediction", "label"))
    assert score(tasks.task(name).metrics, predictions, labels) == metrics
