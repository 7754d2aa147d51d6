"""The table over seeds."""

import json
from pathlib import Path

import pandas as pd
import pytest

from stackbert.glue.tables import glue_table


def write_scores(path: Path, seed: int, pearson: float, **others: object) -> str:
    run = {"recipe": "r", "task": "STS-B", "seed": seed, "others": others}
    path.write_text(json.dumps(run | {"metrics": {"pearson": pearson, "spearman": 0.5}}))
    return str(path)


def test_median_spread_and_columns(tmp_path: Path) -> None:
    paths = [write_scores(tmp_path / f"{i}", i, v) for i, v in enumerate([0.1, 0.4, 0.2])]
    glue_table(paths, str(tmp_path / "glue.tsv"))
    table = pd.read_csv(tmp_path / "glue.tsv", sep="\t")
    first = ["recipe", "task", "metric", "seeds", "median", "min", "max"]
    assert list(table.columns) == [*first, "std"]
    row = table[table["metric"] == "pearson"].iloc[0]
    assert list(row[first]) == ["r", "STS-B", "pearson", 3, 0.2, 0.1, 0.4]
    assert row["std"] == pytest.approx(0.1528, abs=1e-4)


def test_a_single_seed_has_no_spread_and_other_tasks_have_rows(tmp_path: Path) -> None:
    other = {"MNLI-mm": {"metrics": {"accuracy": 0.3}}}
    path = write_scores(tmp_path / "1", 1, 0.1, **other)
    glue_table([path], str(tmp_path / "glue.tsv"))
    table = pd.read_csv(tmp_path / "glue.tsv", sep="\t")
    assert table["std"].isna().all()
    assert list(table["task"]) == ["STS-B", "STS-B", "MNLI-mm"]
