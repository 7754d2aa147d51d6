"""How fast does fine-tuning run? Sentences per second, share of padding, seconds of start-up.

    python benchmarks/glue.py [--task STS-B] [--updates 60] [--output benchmarks/results/glue.json]

Trains and predicts with the model of config.yaml, random weights and made-up sentences whose
lengths are spread like those of STS-B and RT. The last line is the result as JSON.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from stackbert.checkpoint import save_initial  # noqa: E402
from stackbert.errors import write_atomic  # noqa: E402
from stackbert.glue import finetune, tasks  # noqa: E402
from stackbert.glue.prepare import COLUMNS  # noqa: E402
from stackbert.model import Encoder, ModelConfig  # noqa: E402
from stackbert.provenance import machine  # noqa: E402
from stackbert_fairseq.pairs import load_dictionary  # noqa: E402

WORDS = 4000
TOKENS, SPREAD = 17.0, 0.5  # of one sentence: median, and standard deviation of the logarithm


def write_task(folder: Path, task: tasks.Task, splits: dict[str, int]) -> None:
    """Prepared tables of a task with random words and labels."""
    rng = np.random.default_rng(1)
    labels = task.labels or ["0.0", "2.5", "5.0"]
    folder.mkdir(parents=True)
    for split in tasks.SPLITS:
        lines = ["\t".join(COLUMNS)]
        for index in range(splits.get(split, 0)):
            parts = []
            for _ in range(2 if task.pair else 1):
                length = max(1, round(rng.lognormal(np.log(TOKENS), SPREAD)))
                parts.append(" ".join(f"w{word}" for word in rng.integers(0, WORDS, length)))
            row = [str(index), *parts, *([] if task.pair else [""]), str(rng.choice(labels))]
            lines.append("\t".join(row))
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n")


def settings_of(config: dict[str, Any], name: str) -> dict[str, Any]:
    """Settings of a run under config.yaml, for one epoch."""
    recipe = next(iter(config["recipes"]))
    return tasks.settings(config, recipe, name) | {"epochs": 1, "test": False}


def make_checkpoint(path: Path, dictionary: Path, settings: dict[str, Any]) -> None:
    """Random weights of the model under test."""
    shape = {key: settings["model"][key] for key in ("layers", "width", "heads", "feed_forward")}
    vocab_size = len(load_dictionary(str(dictionary)))
    encoder = Encoder(ModelConfig(**shape, vocab_size=vocab_size, max_positions=8))
    save_initial(path, {f"encoder.{name}": value for name, value in encoder.state_dict().items()})


def measure(name: str, updates: int, work: Path) -> dict[str, Any]:
    """Run fine-tuning once, with a line per update, and take the times of those lines."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    task, settings = tasks.task(name), settings_of(config, name)
    dev = 20 * finetune.EVALUATION_BATCH
    write_task(work / "data" / name, task, {"train": updates * task.batch, "dev": dev})
    dictionary = work / "dict.txt"
    dictionary.write_text("".join(f"w{word} 1\n" for word in range(WORDS)))
    make_checkpoint(work / "checkpoint.pt", dictionary, settings)
    times: list[float] = []
    run_training = finetune.fairseq_train

    def timed(arguments: Sequence[str], log: str, title: str, threads: int, _: Any) -> None:
        every_update = [*arguments, "--log-interval", "1"]
        times.append(time.time())
        run_training(every_update, log, title, threads, lambda _: times.append(time.time()))
        times.append(time.time())

    finetune.fairseq_train = timed
    outputs = {key: str(work / "out" / key) for key in ("scores", "predictions", "test", "model")}
    paths = (str(work / "data"), str(dictionary), str(work / "checkpoint.pt"))
    finetune.finetune(name, "benchmark", 1, settings, *paths, outputs, str(work / "log"))
    return _result(task, times, dev, (work / "log").read_text())


def _result(task: tasks.Task, times: Sequence[float], dev: int, log: str) -> dict[str, Any]:
    """`times`: start, one per update, end. The first update is counted as start-up."""
    start, first, last, end = times[0], times[1], times[-2], times[-1]
    lines = [line.split(" | ") for line in log.splitlines()]
    stats = [json.loads(line[3]) for line in lines if len(line) == 4 and line[2] == "train"]
    return {
        "task": task.name,
        "sentences_per_s": round((len(times) - 3) * task.batch / (last - first), 1),
        "predicted_per_s": round(dev / (end - last), 1),
        "padding_share": float(stats[-1]["train_padding"]),
        "startup_s": round(first - start, 2),
        "machine": machine(),
    }


def main() -> None:
    """Measure, keep the result, print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="STS-B", choices=list(tasks.table()))
    parser.add_argument("--updates", type=int, default=60)
    parser.add_argument("--output", default=str(ROOT / "benchmarks" / "results" / "glue.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        result = measure(options.task, options.updates, Path(work))
    write_atomic(options.output, json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
