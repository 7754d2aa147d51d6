"""Tables of GLUE scores: over seeds, with the average row, and beside the paper's numbers."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from stackbert.errors import write_atomic

PAPER = Path(__file__).resolve().parents[2] / "workflow" / "resources" / "paper_results.yaml"
COLUMNS = ["recipe", "task", "metric", "seeds", "median", "min", "max", "std"]
# The paper's definition: WNLI and the diagnostic set are outside, two metrics of a task (and MNLI's
# two halves) count as their mean.
AVERAGED = ("CoLA", "SST-2", "MRPC", "STS-B", "QQP", "MNLI", "QNLI", "RTE")
AVERAGE = "mean of 8 tasks (two metrics averaged, without WNLI and AX)"


def read_scores(paths: Sequence[str]) -> pd.DataFrame:
    """One row per run, task and metric: recipe, task, metric, seed, value."""
    rows = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            run = json.load(file)
        results = {run["task"]: run, **run["others"]}
        rows += [
            (run["recipe"], task, metric, run["seed"], value)
            for task, result in results.items()
            for metric, value in result["metrics"].items()
        ]
    return pd.DataFrame(rows, columns=["recipe", "task", "metric", "seed", "value"])


def average(scores: Mapping[str, Mapping[str, float]]) -> float | None:
    """The GLUE average of task -> metric -> value under `AVERAGE`; None if a task is missing."""
    scores = dict(scores)
    if "MNLI-mm" in scores and "MNLI" in scores:
        halves = (scores["MNLI"]["accuracy"], scores["MNLI-mm"]["accuracy"])
        scores["MNLI"] = {"accuracy": sum(halves) / 2}
    if not set(AVERAGED) <= scores.keys():
        return None
    means = [sum(scores[task].values()) / len(scores[task]) for task in AVERAGED]
    return sum(means) / len(means)


def _average_rows(scores: pd.DataFrame) -> pd.DataFrame:
    """An average for each recipe and seed that has all eight tasks."""
    rows = []
    for (recipe, seed), run in scores.groupby(["recipe", "seed"], sort=False):
        by_task: dict[str, dict[str, float]] = {}
        for task, metric, value in zip(run["task"], run["metric"], run["value"], strict=True):
            by_task.setdefault(task, {})[metric] = value
        value = average(by_task)
        if value is not None:
            rows.append((recipe, "average", AVERAGE, seed, value))
    return pd.DataFrame(rows, columns=scores.columns)


def glue_table(paths: Sequence[str], output: str) -> None:
    """Write recipe, task, metric, number of seeds, and the spread of the values over them.

    `std` is the sample standard deviation, empty for a single seed.
    """
    scores = read_scores(paths)
    averages = _average_rows(scores)
    scores = pd.concat([scores, averages]) if len(averages) else scores
    groups = scores.groupby(["recipe", "task", "metric"], sort=False)["value"]
    table = groups.agg(seeds="count", median="median", min="min", max="max", std="std")
    _write(table.reset_index()[COLUMNS], output, "%.4f")


def paper_table(table: str, output: str) -> None:
    """Set the medians of glue.tsv beside the paper's numbers, all in per cent.

    A column per recipe, named with its split and number of seeds, then one per model of the paper.
    Empty: the paper has no such task, or the recipe was not scored on it.
    """
    ours = pd.read_csv(table, sep="\t")
    with open(PAPER, encoding="utf-8") as file:
        paper = yaml.safe_load(file)
    columns = {}
    for recipe, rows in ours.groupby("recipe", sort=False):
        name = f"{recipe} (dev, median of {rows['seeds'].max()})"
        columns[name] = 100 * rows.set_index(["task", "metric"])["median"]
    for model, values in paper["models"].items():
        columns[f"{model} ({paper['split']})"] = _paper_column(values)
    wanted = list(dict.fromkeys(zip(ours["task"], ours["metric"], strict=True)))
    index = pd.MultiIndex.from_tuples(wanted, names=["task", "metric"])
    wide = pd.DataFrame(columns).reindex(index)
    _write(wide.reset_index(), output, "%.1f")


def _paper_column(values: Mapping[str, Any]) -> pd.Series:
    scores = values["scores"]
    flat = {(task, metric): value for task, m in scores.items() for metric, value in m.items()}
    return pd.Series(flat | {("average", AVERAGE): average(scores)})


def _write(table: pd.DataFrame, output: str, numbers: str) -> None:
    text = table.to_csv(sep="\t", index=False, float_format=numbers, lineterminator="\n")
    write_atomic(output, text)
