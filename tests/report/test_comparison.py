"""The comparison over seeds: costs at each point, the way to the target, medians and ranges."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from stackbert.flops import recipe_flops, update_flops
from stackbert.recipes import resolve
from stackbert.report.comparison import (
    arms_table,
    comparison_page,
    gains,
    runs_table,
    with_flops,
)
from stackbert.report.figures import loss_figure
from stackbert.report.losses import read_curves
from stackbert.report.style import colours, dashes
from tests.report.handmade import CONTROL, CURVE, tabbed

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def config() -> dict[str, Any]:
    """Two arms with two seeds, whose stages have as many updates as the curves made by hand."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    flat = {"updates": 100, "lr": [[0, 1e-3], [100, 1e-3]]}
    grown = [
        flat | {"layers": 3, "seed": 1},
        flat | {"layers": 6, "seed": 2, "grow": "stack", "freeze": 20},
        flat | {"layers": 12, "seed": 3, "grow": "learned", "learn_updates": 10},
    ]
    control = [{"layers": 12, "updates": 200, "lr": [[0, 1e-3], [200, 1e-3]], "seed": 1}]
    config |= {"recipes": {"scratch": control, "grown": grown}, "control": "scratch"}
    config["compare"] = {"arms": ["scratch", "grown"], "seeds": [1, 2]}
    return resolve(config)


@pytest.fixture
def paths(config: dict[str, Any], tmp_path: Path) -> list[str]:
    """Curves of the four runs; the second seed of both arms ends .1 higher."""
    found = []
    for name in config["recipes"]:
        text = CURVE if name.startswith("grown") else CONTROL
        if name.endswith("2"):
            text = text.replace("6.70", "6.80").replace("6.45", "6.75").replace("6.60", "6.90")
        path = tmp_path / f"{name}.tsv"
        path.write_text(tabbed(text), encoding="utf-8")
        found.append(str(path))
    return found


def test_flops_of_a_curve_end_with_those_of_the_recipe(
    config: dict[str, Any], paths: list[str]
) -> None:
    curves = read_curves(list(config["recipes"]), paths)
    stages = config["recipes"]["grown-seed1"]
    flops = list(with_flops(curves["grown-seed1"], config, stages)["flops"])
    assert flops == sorted(flops) and flops[-1] == pytest.approx(recipe_flops(config, stages))
    assert flops[0] == pytest.approx(50 * update_flops(config, 3))
    # Learning how to grow comes before the last stage's updates.
    assert flops[4] - flops[3] == pytest.approx(60 * update_flops(config, 12))
    assert flops[2] - flops[1] < 50 * update_flops(config, 6)


def test_the_way_to_the_controls_median(config: dict[str, Any], paths: list[str]) -> None:
    runs = runs_table(config, read_curves(list(config["recipes"]), paths))
    assert list(runs["run"]) == ["scratch-seed1", "scratch-seed2", "grown-seed1", "grown-seed2"]
    assert runs["target_loss"].tolist() == [pytest.approx(6.75)] * 4
    runs = gains(runs, "scratch").set_index("run")
    # The worse control never gets there: its 120 s count, and so does the better one's.
    assert pd.isna(runs.loc["scratch-seed2", "to_seconds"])
    assert runs.loc["grown-seed1", "to_seconds"] == runs.loc["grown-seed1", "deep_seconds"] == 80
    assert runs.loc["grown-seed1", "to_seconds_gain"] == pytest.approx(120 / 80)
    assert runs.loc["grown-seed2", "to_seconds"] == 108
    assert runs.loc["scratch-seed1", "gap"] == pytest.approx(6.70 - 6.9)
    assert runs.loc["grown-seed1", "loss_at_equal_time"] == 6.45


def test_a_shallow_model_at_the_target_is_told_from_a_deep_one(
    config: dict[str, Any], paths: list[str]
) -> None:
    path = Path(paths[2])
    path.write_text(path.read_text().replace("7.20", "6.70"), encoding="utf-8")
    runs = runs_table(config, read_curves(list(config["recipes"]), paths)).set_index("run")
    assert runs.loc["grown-seed1", "to_seconds"] == 20
    assert runs.loc["grown-seed1", "deep_seconds"] == 80


def test_page_and_tables(config: dict[str, Any], paths: list[str], tmp_path: Path) -> None:
    unigram = tmp_path / "unigram.json"
    unigram.write_text(json.dumps({"unigram_loss": 7.25}))
    out = {name: str(tmp_path / f"out.{name}") for name in ("runs", "arms", "page")}
    comparison_page(config, paths, str(unigram), out)
    runs = pd.read_csv(out["runs"], sep="\t")
    assert len(runs) == 4 and set(runs["unigram_loss"]) == {7.25}
    arms = pd.read_csv(out["arms"], sep="\t", dtype=str, keep_default_na=False).set_index("arm")
    assert arms.loc["scratch", "final_loss"] == "6.750 (6.700-6.800)"
    assert arms.loc["grown", "to_seconds"] == "94.0 (80.0-108.0)"
    assert arms.loc["scratch", "to_seconds"] == ""  # half of the seeds never got there
    page = Path(out["page"]).read_text()
    assert "7.250" in page and "median final loss 6.750" in page
    one = runs[runs["run"] == "grown-seed1"].drop(columns="unigram_loss")
    assert arms_table(one)["final_loss"].tolist() == ["6.450"]


def test_one_figure_for_all_arms(config: dict[str, Any], paths: list[str], tmp_path: Path) -> None:
    curves = read_curves(list(config["recipes"]), paths)
    arms = {"scratch": ["scratch-seed1", "scratch-seed2"], "grown": ["grown-seed1", "grown-seed2"]}
    loss_figure(curves, arms, "scratch", "seconds", str(tmp_path / "figure.svg"))
    drawn = (tmp_path / "figure.svg").read_text()
    assert "scratch's final loss 6.75" in drawn or "final loss 6.75" in drawn
    assert "grown (6.60)" in drawn and drawn.count("<!-- grown (") == 1


def test_many_arms_are_told_apart_in_a_legend(
    config: dict[str, Any], paths: list[str], tmp_path: Path
) -> None:
    """More arms than colours: each has its own look and its final loss inside the figure."""
    first, second, third, _ = read_curves(list(config["recipes"]), paths).values()
    curves = {f"arm{n}": (first, second, third)[n % 3] for n in range(20)}
    arms = {name: [name] for name in curves}
    loss_figure(curves, arms, "arm0", "seconds", str(tmp_path / "figure.svg"))
    drawn = (tmp_path / "figure.svg").read_text()
    assert all(drawn.count(f"<!-- {name} (") == 1 for name in arms)
    assert "<!-- 2 layers -->" not in drawn and "<!-- 12 layers -->" not in drawn
    looks = {(colours(list(arms))[name], dashes(list(arms))[name]) for name in arms}
    assert len(looks) == len(arms)
