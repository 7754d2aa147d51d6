"""Time to loss: first validated point, empty cells, sums over stages, bad tables."""

from io import StringIO
from pathlib import Path

import pandas as pd
import pytest

from stackbert.errors import UserError
from stackbert.report.losses import (
    boundaries,
    growth_table,
    read_curves,
    stage_table,
    time_to_loss,
)
from tests.report.handmade import CONTROL, CURVE, tabbed


@pytest.fixture
def curves(tmp_path: Path) -> dict[str, pd.DataFrame]:
    for name, text in (("stacking", CURVE), ("scratch", CONTROL)):
        (tmp_path / name).write_text(tabbed(text), encoding="utf-8")
    recipes = ["stacking", "scratch"]
    return read_curves(recipes, [str(tmp_path / recipe) for recipe in recipes])


def test_updates_go_on_over_stages(curves: dict[str, pd.DataFrame]) -> None:
    assert list(curves["stacking"]["updates"]) == [50, 100, 150, 200, 250, 300]


def test_a_recipe_that_never_reaches_the_target_has_empty_cells(
    curves: dict[str, pd.DataFrame],
) -> None:
    table = time_to_loss(curves, "stacking")
    row = table.set_index("recipe").loc["scratch"]
    assert row["target_loss"] == "6.4500"
    assert list(row[["seconds", "updates", "tokens", "speedup"]]) == ["", "", "", ""]
    written = pd.read_csv(StringIO(table.to_csv(sep="\t", index=False)), sep="\t")
    assert written["seconds"].isna().tolist() == [False, True]


def test_a_control_below_its_final_loss_earlier_is_timed_to_that_point() -> None:
    text = tabbed(CONTROL).replace("6.85", "6.69")
    curve = pd.read_csv(StringIO(text), sep="\t").assign(updates=[50, 100, 150, 200])
    row = time_to_loss({"scratch": curve}, "scratch").iloc[0]
    assert (row["seconds"], row["updates"], row["speedup"]) == ("90.0", "150", "1.000")


def test_stages_by_themselves_and_growth_steps(curves: dict[str, pd.DataFrame]) -> None:
    stages = stage_table(curves)
    assert list(stages["stage"]) == ["L3", "L6", "L12", "L12"]
    assert list(stages["seconds"]) == ["20.0", "32.0", "56.0", "120.0"]
    assert list(stages["tokens"])[:3] == ["400,000", "400,000", "400,000"]
    growth = growth_table(curves)
    assert list(growth["loss before"]) == ["7.2000", "6.8000"]
    assert [b.layers for b in boundaries(curves["stacking"])] == [6, 12]
    assert [b.seconds for b in boundaries(curves["stacking"])] == [20.0, 52.0]


def test_a_table_without_its_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "curve.tsv"
    path.write_text("stage\tloss\nL3\t7\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"curve\.tsv: no rows or no column layers"):
        read_curves(["stacking"], [str(path)])
