"""One fine-tuning run: a single fairseq-train process that trains, evaluates and predicts."""

import json
import math
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stackbert.checkpoint import load_checkpoint, save_initial
from stackbert.errors import UserError, write_atomic
from stackbert.fairseq_cli import common_arguments, fairseq_train, time_left
from stackbert.glue.metrics import score
from stackbert.glue.predictions import prediction_table, read_predictions
from stackbert.glue.prepare import read_prepared
from stackbert.glue.tasks import Task, predicted, task

Settings = Mapping[str, Any]
WARM_UP = 0.1  # of the updates; paper: 10 %
EVALUATION_BATCH = 64
BEST = "checkpoint_best.pt"


def finetune(
    name: str,
    recipe: str,
    seed: int,
    settings: Settings,
    data: str,
    dictionary: str,
    checkpoint: str,
    outputs: Mapping[str, str],
    log: str,
) -> None:
    """Fine-tune `checkpoint` on task `name` and write scores, predictions and the model.

    `settings` has the keys `tasks` (all that were asked for), `test` (predict test sets), `model`
    (with `layers`), `adam`, `max_positions`, `epochs`, `learning_rate`, `keep` (last, or best on
    dev), `threads`, `device`.
    `data` is the folder of the prepared tasks. `outputs` has paths for `scores`, `predictions`,
    `test` and `model`.
    """
    this, started = task(name), time.time()
    others = [task(other) for other in predicted(name, settings["tasks"])]
    work = Path(outputs["scores"]).parent / "work"
    shutil.rmtree(work, ignore_errors=True)  # of a run that was killed
    work.mkdir(parents=True)
    try:
        train = read_prepared(Path(data) / name / "train.tsv")
        if not train:
            raise UserError(f"{name} has no training examples; give a train file with rows")
        subsets = _subsets([this, *others], Path(data), settings["test"])
        if this.loss == "majority":
            _predict_majority(this, train, Path(data), subsets, work)
            save_initial(outputs["model"], {})
        else:
            plan = _plan(this, len(train), settings)
            title = f"{recipe} {name} seed {seed}"
            save_initial(work / "start.pt", _without_classifier(checkpoint))
            arguments = _arguments(this, seed, settings, plan, data, dictionary, work, subsets)
            fairseq_train(arguments, log, title, settings["threads"], _progress(plan["updates"]))
            save_initial(outputs["model"], load_checkpoint(work / BEST)["model"])
        facts = {
            "task": name,
            "recipe": recipe,
            "seed": seed,
            "kept": settings["keep"],
            "truncated": _truncated(train, settings["max_positions"]),
            "train_examples": len(train),
            "seconds": round(time.time() - started, 1),
            **({} if this.loss == "majority" else plan),
        }
        _collect([this, *others], subsets, work, facts, outputs)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _subsets(tasks: Sequence[Task], data: Path, test: bool) -> list[str]:
    """What is predicted, as TASK.SPLIT: dev (and test) sets that have rows, own dev first."""
    parts = ("dev", "test") if test else ("dev",)
    names = [f"{t.name}.{part}" for t in tasks for part in parts if part in t.splits]
    with_rows = [n for n in names if _rows(data, n)]
    if not with_rows or with_rows[0] != f"{tasks[0].name}.dev":
        raise UserError(f"{tasks[0].name} has no dev examples; give a dev file with rows")
    return with_rows


def _rows(data: Path, subset: str) -> list[dict[str, str]]:
    name, _, split = subset.rpartition(".")
    return read_prepared(data / name / f"{split}.tsv")


def _plan(this: Task, examples: int, settings: Settings) -> dict[str, Any]:
    """Epochs, rate and updates of a run; null in the configuration means the table's value."""
    epochs = settings["epochs"] or this.epochs
    updates = epochs * math.ceil(examples / this.batch)
    return {
        "epochs": epochs,
        "batch": this.batch,
        "learning_rate": settings["learning_rate"] or this.learning_rate,
        "updates": updates,
    }


def _without_classifier(checkpoint: str) -> dict[str, Any]:
    """The encoder's weights: another task's classifier is of no use."""
    state = load_checkpoint(checkpoint)["model"]
    return {key: value for key, value in state.items() if not key.startswith("classifier.")}


def _arguments(
    this: Task,
    seed: int,
    settings: Settings,
    plan: Settings,
    data: str,
    dictionary: str,
    work: Path,
    subsets: Sequence[str],
) -> list[str]:
    model, adam = settings["model"], settings["adam"]
    interval = 1 if settings["keep"] == "best" else plan["epochs"]
    options: dict[str, Any] = {
        "--task": "stackbert_glue",
        "--glue-task": this.name,
        "--dictionary": dictionary,
        "--predictions": work,
        "--keep": settings["keep"],
        "--arch": "stackbert",
        "--criterion": "stackbert_glue",
        "--layers": model["layers"],
        "--width": model["width"],
        "--heads": model["heads"],
        "--feed-forward": model["feed_forward"],
        "--dropout": model["dropout"],
        "--attention-dropout": model["attention_dropout"],
        "--max-positions": settings["max_positions"],
        "--finetune-from-model": work / "start.pt",
        "--batch-size": plan["batch"],
        "--batch-size-valid": EVALUATION_BATCH,
        "--required-batch-size-multiple": 1,
        "--valid-subset": ",".join(subsets),
        "--optimizer": "fused_adamw",
        "--betas": json.dumps(list(adam["betas"])),
        "--eps": adam["eps"],
        "--weight-decay": adam["weight_decay"],
        "--clip-norm": adam["clip_norm"],
        "--lr": plan["learning_rate"],
        "--lr-scheduler": "polynomial_decay",
        "--warmup-updates": round(WARM_UP * plan["updates"]),
        "--total-num-update": plan["updates"],
        "--max-update": plan["updates"],
        "--max-epoch": plan["epochs"],
        "--validate-interval": interval,
        "--save-interval": interval,
        "--save-dir": work,
        "--seed": seed,
        "--log-interval": max(1, plan["updates"] // 10),
        "--distributed-world-size": 1,
    }
    flags = ["--best-checkpoint-metric", "score", "--maximize-best-checkpoint-metric"]
    flags += ["--no-epoch-checkpoints", "--no-last-checkpoints", "--no-save-optimizer-state"]
    pairs = [str(part) for option in options.items() for part in option]
    return [data, *pairs, *flags, *common_arguments(settings["device"])]


def _predict_majority(
    this: Task, train: Sequence[Settings], data: Path, subsets: Sequence[str], work: Path
) -> None:
    """Predict the most frequent training label (WNLI, whose dev set is built against its train)."""
    counts = Counter(row["label"] for row in train)
    label = max(this.labels, key=lambda name: counts[name])
    for subset in subsets:
        rows = _rows(data, subset)
        table = prediction_table(
            [row["index"] for row in rows], [label] * len(rows), [row["label"] for row in rows]
        )
        write_atomic(work / f"{subset}.tsv", table)


def _truncated(rows: Sequence[Settings], max_positions: int) -> int:
    """Training examples that are longer than the model, `<cls>` and two `</s>` counted."""
    lengths = (len(row["first"].split()) + len(row["second"].split()) for row in rows)
    return sum(length > max_positions - 3 for length in lengths)


def _collect(
    tasks: Sequence[Task],
    subsets: Sequence[str],
    work: Path,
    facts: Settings,
    outputs: Mapping[str, str],
) -> None:
    """Compute the scores from the written predictions, and put those in their places."""
    own, others, tests = {}, {}, ["task\tindex\tprediction"]
    for subset in subsets:
        name, _, split = subset.rpartition(".")
        rows = read_predictions(work / f"{subset}.tsv")
        if split == "test":
            tests += [f"{name}\t{row['index']}\t{row['prediction']}" for row in rows]
            continue
        predictions, labels = ([row[key] for row in rows] for key in ("prediction", "label"))
        this = next(t for t in tasks if t.name == name)
        metrics = score(this.metrics, predictions, labels, *this.labels[-1:])
        result = {"metrics": metrics, "examples": len(rows)}
        if name == tasks[0].name:
            own = result
        else:
            others[name] = result
    write_atomic(outputs["test"], "\n".join(tests) + "\n")
    write_atomic(outputs["predictions"], (work / f"{subsets[0]}.tsv").read_text(encoding="utf-8"))
    scores = {**facts, "split": "dev", **own, "others": others}
    write_atomic(outputs["scores"], json.dumps(scores, indent=2) + "\n")


def _progress(updates: int) -> Any:
    left = time_left(updates)

    def line(stats: dict[str, Any]) -> str:
        update = int(stats["num_updates"])
        return f"update {update}/{updates}, loss {float(stats['loss']):.3f}{left(update)}"

    return line
