"""A results folder with random models, for tests of what uses trained models."""

import io
import json
from collections import Counter
from pathlib import Path

import torch
import yaml
from subword_nmt.learn_bpe import learn_bpe

from stackbert.checkpoint import save_initial
from stackbert.glue.tasks import task
from stackbert.model import Encoder, ModelConfig
from stackbert.provenance import write_run
from stackbert.text.pipeline import TextPipeline

ROOT = Path(__file__).parents[1]
TEXT = [
    "The capital of France is Paris, and the capital of Germany is Berlin.",
    "A man is playing a guitar; a woman isn't listening to the music.",
    "Mr. Smith paid $5,300.50 for the old house on 12 Main St. in 1999...",
    "It's a truly awful film, but the actors' work is rather good.",
    "The naïve café owner said: “Where is the capital of the world?”",
]
TASKS = ("STS-B", "MRPC", "RT", "MNLI")  # regression, one logit, one text, three classes
MODEL = {"width": 16, "heads": 2, "feed_forward": 24, "dropout": 0.1, "attention_dropout": 0.1}
POSITIONS = {"pretrain": 40, "glue": 32}
RECIPES = {
    "grown": [
        {"layers": 1, "updates": 4, "lr": [[0, 0.001], [4, 0.001]], "seed": 1},
        {"layers": 2, "updates": 6, "lr": [[0, 0.001], [6, 0.0001]], "seed": 2, "grow": "stack"},
    ],
    "another": [{"layers": 2, "updates": 8, "lr": [[0, 0.001], [8, 0.0001]], "seed": 1}],
}


def make_run(results: Path) -> Path:
    """Fill `results` as a finished run of two recipes and four tasks would; returns it."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    config |= {"recipes": RECIPES, "control": "another", "model": MODEL}
    config["pretrain"]["max_positions"] = POSITIONS["pretrain"]
    config["glue"] |= {"max_positions": POSITIONS["glue"], "tasks": list(TASKS), "seeds": [1, 2]}
    size = _text_files(results)
    write_run(results / "run.json", config, 0)
    torch.manual_seed(0)
    for recipe in RECIPES:
        _model(results / "pretrain" / recipe / "L2", "checkpoint.pt", size, "pretrain", 0)
        curve = "stage\tlayers\tupdate\ttokens\tseconds\ttrain_loss\tvalid_mlm_loss\n"
        curve += "L1\t1\t4\t1000\t2.5\t6.1\t6.0\nL2\t2\t6\t2500\t5.0\t5.9\t5.8125\n"
        (results / "pretrain" / recipe / "curve.tsv").write_text(curve)
        for name in TASKS:
            for seed in (1, 2):
                folder = results / "glue" / recipe / name / f"seed{seed}"
                _model(folder, "model.pt", size, "glue", task(name).outputs, seed)
                scores = {"metrics": {metric: seed / 10 for metric in task(name).metrics}}
                (folder / "scores.json").write_text(json.dumps(scores))
    return results


def _text_files(results: Path) -> int:
    """Merges, dictionary and tables; returns the dictionary's size."""
    for folder in ("bpe", "bin", "tables"):
        (results / folder).mkdir(parents=True)
    words = " ".join(TEXT).lower().split()
    codes = io.StringIO()
    learn_bpe(io.StringIO(" ".join(words * 3)), codes, 60)
    (results / "bpe" / "codes").write_text(codes.getvalue(), encoding="utf-8")
    encode = TextPipeline(results / "bpe" / "codes").encode
    pieces = Counter(piece for line in TEXT for piece in encode(line).split())
    lines = [f"{piece} {count}\n" for piece, count in pieces.most_common()]
    (results / "bin" / "dict.txt").write_text("".join(lines), encoding="utf-8")
    corpus = "step\tcounter\tvalue\ntokenize\twords\t1234567\nbinarize\ttrain_tokens\t2345678\n"
    (results / "tables" / "corpus.tsv").write_text(corpus)
    glue = "recipe\ttask\tmetric\tseeds\tmedian\tmin\tmax\tstd\n"
    glue += "grown\tSTS-B\tpearson\t2\t0.1500\t0.1000\t0.2000\t0.0707\n"
    glue += "another\tSTS-B\tpearson\t2\t0.0150\t0.0100\t0.0200\t0.0071\n"
    (results / "tables" / "glue.tsv").write_text(glue)
    return len(pieces) + 5


def _model(
    folder: Path, name: str, vocab_size: int, kind: str, outputs: int, seed: int = 2
) -> None:
    shape = ModelConfig(2, 16, 2, 24, vocab_size, POSITIONS[kind])
    weights = {f"encoder.{key}": value for key, value in Encoder(shape).state_dict().items()}
    if outputs:
        weights["classifier.weight"] = torch.randn(outputs, 16)
        weights["classifier.bias"] = torch.randn(outputs)
    folder.mkdir(parents=True)
    save_initial(folder / name, weights)
    results = next(parent for parent in folder.parents if (parent / "run.json").exists())
    run = json.loads((results / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(run | {"seed": seed}))
