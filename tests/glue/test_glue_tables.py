"""The table over seeds."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from stackbert.glue import tasks
from stackbert.glue.tables import AVERAGE, AVERAGED, PAPER, average, glue_table, paper_table


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


def write_all_tasks(folder: Path, recipe: str, seed: int) -> list[str]:
    """Runs of the eight averaged tasks and WNLI, every metric 0.5 but MNLI 0.6 and its half 0.4."""
    paths = []
    for name in [*AVERAGED, "WNLI"]:
        metrics = dict.fromkeys(tasks.task(name).metrics, 0.6 if name == "MNLI" else 0.5)
        others = {"MNLI-mm": {"metrics": {"accuracy": 0.2}}} if name == "MNLI" else {}
        run = {"recipe": recipe, "task": name, "seed": seed, "others": others, "metrics": metrics}
        path = folder / f"{recipe}.{name}.{seed}"
        path.write_text(json.dumps(run))
        paths.append(str(path))
    return paths


def test_average_row_is_named_and_needs_all_tasks(tmp_path: Path) -> None:
    paths = write_all_tasks(tmp_path, "r", 1) + write_all_tasks(tmp_path, "r", 2)
    glue_table(paths, str(tmp_path / "glue.tsv"))
    row = pd.read_csv(tmp_path / "glue.tsv", sep="\t").set_index("task").loc["average"]
    assert row["metric"] == AVERAGE and row["seeds"] == 2
    # Seven tasks of 0.5 (WNLI is outside), MNLI (0.6 + 0.2) / 2.
    assert row["median"] == pytest.approx((7 * 0.5 + 0.4) / 8, abs=1e-4)
    glue_table(paths[1:9], str(tmp_path / "part.tsv"))
    assert "average" not in set(pd.read_csv(tmp_path / "part.tsv", sep="\t")["task"])


def test_paper_numbers_stand_beside_ours_and_say_what_they_are(tmp_path: Path) -> None:
    paths = [p for r in ("stacking", "scratch") for p in write_all_tasks(tmp_path, r, 1)]
    glue_table([*paths, write_scores(tmp_path / "rt", 1, 0.1)], str(tmp_path / "glue.tsv"))
    paper_table(str(tmp_path / "glue.tsv"), str(tmp_path / "paper.tsv"))
    table = pd.read_csv(tmp_path / "paper.tsv", sep="\t").set_index(["task", "metric"])
    assert table.loc[("CoLA", "matthews"), "stacking (dev, median of 1)"] == 50.0
    assert table.loc[("CoLA", "matthews"), "paper's stacking (test)"] == 56.2
    assert table.loc[("MNLI-mm", "accuracy"), "paper's baseline (test)"] == 83.7
    # The paper's eight tasks under the definition that the row names.
    assert table.loc[("average", AVERAGE), "paper's stacking (test)"] == 80.1
    assert table.loc[("WNLI", "accuracy")].filter(like="(test)").isna().all()


def test_the_papers_printed_averages_count_wnli_as_a_ninth_task() -> None:
    models = yaml.safe_load(PAPER.read_text())["models"].values()
    ninth = [round((8 * average(m["scores"]) + 65.1) / 9, 1) for m in models]
    assert ninth == [78.3, 77.2, 78.4]
    assert [m["printed"] for m in models] == [78.3, 77.4, 78.4]
