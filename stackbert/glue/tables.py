"""The table of GLUE scores over seeds."""

import json
from collections.abc import Sequence

import pandas as pd

from stackbert.errors import write_atomic

COLUMNS = ["recipe", "task", "metric", "seeds", "median", "min", "max", "std"]


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


def glue_table(paths: Sequence[str], output: str) -> None:
    """Write recipe, task, metric, number of seeds, and the spread of the values over them.

    `std` is the sample standard deviation, empty for a single seed.
    """
    groups = read_scores(paths).groupby(["recipe", "task", "metric"], sort=False)["value"]
    table = groups.agg(seeds="count", median="median", min="min", max="max", std="std")
    text = table.reset_index()[COLUMNS].to_csv(
        sep="\t", index=False, float_format="%.4f", lineterminator="\n"
    )
    write_atomic(output, text)
