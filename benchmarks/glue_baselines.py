"""Does pre-training help? The same fine-tuning from random weights, and a bag of words, per task.

    python benchmarks/glue_baselines.py [--results results] [--output FILE.json]

Needs a finished run: the pre-trained scores, the settings, the seeds and the data are its own. The
bag of words is logistic regression (ridge regression for STS-B) on counts of the same BPE tokens;
of a pair it sees both texts and how far they differ. The last line is the result as JSON.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Ridge

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from stackbert.checkpoint import load_checkpoint, save_initial  # noqa: E402
from stackbert.errors import UserError, write_atomic  # noqa: E402
from stackbert.glue import tasks  # noqa: E402
from stackbert.glue.finetune import finetune  # noqa: E402
from stackbert.glue.metrics import score  # noqa: E402
from stackbert.glue.prepare import read_prepared  # noqa: E402
from stackbert.model import Encoder, ModelConfig  # noqa: E402
from stackbert.provenance import machine  # noqa: E402

Scores = list[dict[str, float]]


def features(task: tasks.Task, rows: list[dict[str, str]], words: CountVectorizer) -> csr_matrix:
    """Counts of the tokens [examples, features]; of a pair the sum and the absolute difference."""
    first = words.transform(row["first"] for row in rows)
    if not task.pair:
        return first
    second = words.transform(row["second"] for row in rows)
    shared = first.minimum(second).sum(axis=1)
    most = np.maximum(first.sum(axis=1), second.sum(axis=1)) + 1
    return hstack([first + second, abs(first - second), csr_matrix(shared / most)]).tocsr()


def bag_of_words(task: tasks.Task, data: Path) -> dict[str, float]:
    """Scores on dev of a linear model of the counts, with scikit-learn's default penalty."""
    train, dev = (read_prepared(data / task.name / f"{split}.tsv") for split in ("train", "dev"))
    words = CountVectorizer(token_pattern=r"\S+", lowercase=False)
    words.fit(row[part] for row in train for part in ("first", "second"))
    labels = [row["label"] for row in train]
    inputs, tests = features(task, train, words), features(task, dev, words)
    if task.loss == "regression":
        fitted = Ridge().fit(inputs, [float(label) for label in labels]).predict(tests)
        predictions = [f"{value:.6f}" for value in fitted]
    else:
        model = LogisticRegression(max_iter=1000)
        predictions = list(model.fit(inputs, labels).predict(tests))
    return score(task.metrics, predictions, [row["label"] for row in dev])


def random_weights(run: Path, results: Path, work: Path) -> dict[str, float]:
    """Scores on dev of a run's fine-tuning, started from random weights of the run's seed."""
    config = json.loads((run / "run.json").read_text())["config"]
    scores = json.loads((run / "scores.json").read_text())
    trained = load_checkpoint(run / "model.pt")["model"]
    torch.manual_seed(scores["seed"])
    shape = {key: config["model"][key] for key in ("layers", "width", "heads", "feed_forward")}
    vocab_size = trained["encoder.tokens.weight"].shape[0]
    encoder = Encoder(ModelConfig(**shape, vocab_size=vocab_size, max_positions=8))
    checkpoint = work / "random.pt"
    save_initial(checkpoint, {f"encoder.{k}": v for k, v in encoder.state_dict().items()})
    keys = ("adam", "max_positions", "keep", "threads", "device", "model")
    settings = {key: config[key] for key in keys} | {"tasks": [scores["task"]], "test": False}
    settings |= {key: scores[key] for key in ("epochs", "learning_rate")}
    outputs = {key: str(work / "run" / key) for key in ("scores", "predictions", "test", "model")}
    finetune(
        scores["task"],
        "random",
        scores["seed"],
        settings,
        str(results / "glue_data"),
        str(results / "bin" / "dict.txt"),
        str(checkpoint),
        outputs,
        str(work / "log"),
    )
    return json.loads(Path(outputs["scores"]).read_text())["metrics"]


def spread(runs: Scores) -> dict[str, dict[str, float]]:
    """Median, smallest and largest of each metric over seeds."""
    found = {}
    for metric in runs[0]:
        values = [run[metric] for run in runs]
        values = {"median": statistics.median(values), "min": min(values), "max": max(values)}
        found[metric] = {key: round(value, 4) for key, value in values.items()}
    return found


def compare(results: Path) -> dict[str, Any]:
    """Task -> start (a recipe, random weights, bag of words) -> metric -> spread."""
    found: dict[str, Any] = {}
    for folder in sorted(results.glob("glue/*/*/seed*")):
        recipe, name = folder.parts[-3:-1]
        metrics = json.loads((folder / "scores.json").read_text())["metrics"]
        found.setdefault(name, {}).setdefault(recipe, []).append((metrics, folder))
    if not found:
        raise UserError(f"{results} has no scores of fine-tuning: run snakemake glue first")
    table: dict[str, Any] = {}
    for name, recipes in found.items():
        task = tasks.task(name)
        starts = {recipe: [metrics for metrics, _ in runs] for recipe, runs in recipes.items()}
        if task.loss != "majority":
            with tempfile.TemporaryDirectory() as work:
                runs = next(iter(recipes.values()))
                starts["random weights"] = [
                    random_weights(run, results, Path(work)) for _, run in runs
                ]
            starts["bag of words"] = [bag_of_words(task, results / "glue_data")]
        table[name] = {start: spread(runs) for start, runs in starts.items()}
    return table


def main() -> None:
    """Compare, keep the result, print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results"))
    output = ROOT / "benchmarks" / "results" / "glue_baselines.json"
    parser.add_argument("--output", default=str(output))
    options = parser.parse_args()
    try:
        result = {"tasks": compare(options.results), "machine": machine()}
    except UserError as error:
        sys.exit(f"error: {error}")
    write_atomic(options.output, json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
