"""Small tasks, made up, in the form that each step leaves."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from stackbert.checkpoint import save_initial
from stackbert.glue.prepare import COLUMNS
from stackbert.model import Encoder, ModelConfig
from stackbert_fairseq.pairs import load_dictionary

WORDS = [f"w{number}" for number in range(40)]
SETTINGS = {
    "tasks": [],
    "test": True,
    "model": {
        "layers": 1,
        "width": 32,
        "heads": 2,
        "feed_forward": 64,
        "dropout": 0.1,
        "attention_dropout": 0.1,
    },
    "adam": {"betas": [0.9, 0.999], "eps": 1e-6, "weight_decay": 0.01, "clip_norm": 0.0},
    "max_positions": 32,
    "epochs": 3,
    "learning_rate": 3e-3,
    "keep": "last",
    "threads": 1,
    "device": "cpu",
}
Row = tuple[str, str, str]  # first, second, label


def make_checkpoint(path: Path, dictionary: Path, model: dict[str, Any]) -> Path:
    """Random weights in the form that pre-training leaves."""
    torch.manual_seed(0)
    vocab_size = len(load_dictionary(str(dictionary)))
    shape = {key: model[key] for key in ("layers", "width", "heads", "feed_forward")}
    encoder = Encoder(ModelConfig(**shape, vocab_size=vocab_size, max_positions=32))
    save_initial(path, {f"encoder.{name}": value for name, value in encoder.state_dict().items()})
    return path


def write_task(folder: Path, name: str, splits: dict[str, Sequence[Row]]) -> None:
    """A task as `prepare` leaves it; splits that are not given have no rows."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    for split in ("train", "dev", "test"):
        lines = ["\t".join(COLUMNS)]
        lines += ["\t".join([str(i), *row]) for i, row in enumerate(splits.get(split, ()))]
        (folder / name / f"{split}.tsv").write_text("\n".join(lines) + "\n")


def marked_rows(count: int, labels: Sequence[str], pair: bool, seed: int) -> list[Row]:
    """Texts whose label is told by one of the first words of the dictionary."""
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        label = rng.randrange(len(labels))
        words = [rng.choice(WORDS[10:]) for _ in range(rng.randint(2, 6))]
        words.insert(rng.randint(0, len(words)), WORDS[label])
        second = " ".join([WORDS[label], rng.choice(WORDS[10:])]) if pair else ""
        rows.append((" ".join(words), second, labels[label]))
    return rows
