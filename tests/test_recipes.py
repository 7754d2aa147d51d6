"""Schedules and comparisons become plain lists of stages; equal stages have one owner."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from stackbert.config import check
from stackbert.errors import UserError
from stackbert.flops import flops_per_token, recipe_flops, stage_flops, update_flops
from stackbert.provenance import write_run
from stackbert.recipes import (
    resolve,
    stage_folder,
    stage_folders,
    trained_stage,
    trained_stages,
)
from stackbert.schedule import lengthened, lr_until
from stackbert.stage_curve import is_flat

ROOT = Path(__file__).parent.parent
DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())
WSD = {"schedule": "wsd", "budget": 1000, "peak": 0.004, "warmup": 50, "rewarm": 20, "decay": 0.2}
LATE = WSD | {"stages": [{"layers": 3, "share": 0.6}, {"layers": 12, "grow": "stack"}]}


def config(**recipes: Any) -> dict[str, Any]:
    """The default configuration with further recipes."""
    changed = copy.deepcopy(DEFAULT)
    changed["recipes"] |= recipes
    return changed


def stages(recipe: dict[str, Any]) -> list[dict[str, Any]]:
    found = config(r=recipe)
    check(found, ROOT / "workflow")
    return resolve(found)["recipes"]["r"]


def test_stable_schedule_anneals_at_full_depth_only() -> None:
    shallow, deep = stages(LATE)
    assert shallow["lr"] == [[0, 0.0], [50, 0.004], [shallow["updates"], 0.004]]
    end = deep["updates"]
    assert deep["lr"] == [[0, 0.0], [20, 0.004], [end - 200, 0.004], [end, 0.0]]
    assert (shallow["seed"], deep["seed"], deep["grow"]) == (1, 2, "stack")
    assert 395 <= end <= 405
    cost = update_flops(DEFAULT, 3) / update_flops(DEFAULT, 12)
    assert shallow["updates"] == pytest.approx(600 / cost, abs=1)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"freeze": 40},
        {"grow": "learned", "learn_updates": 30},
        {"grow": "interpolate", "freeze": 100, "moments": "keep"},
        {"peak": 0.001},
        {"grow": ["stack", "interpolate"], "fork_updates": 30},
    ],
)
def test_every_scheduled_recipe_costs_its_budget(changes: dict[str, Any]) -> None:
    recipe = WSD | {"stages": [LATE["stages"][0], LATE["stages"][1] | changes]}
    budget = 1000 * update_flops(DEFAULT, 12)
    found = stages(recipe)
    assert recipe_flops(DEFAULT, found) == pytest.approx(budget, rel=0.002)
    assert stage_flops(DEFAULT, found, 0) == pytest.approx(0.6 * budget, rel=0.002)


def test_updates_in_place_of_a_share_and_one_stage() -> None:
    only = stages(WSD | {"stages": [{"layers": 12}]})
    assert only[0]["updates"] == 1000
    assert only[0]["lr"] == [[0, 0.0], [50, 0.004], [800, 0.004], [1000, 0.0]]
    fixed = [{"layers": 1, "updates": 500}, {"layers": 12, "grow": "stack", "peak": 0.002}]
    shallow, deep = stages(WSD | {"stages": fixed})
    assert shallow["updates"] == 500 and max(rate for _, rate in deep["lr"]) == 0.002


def test_linear_schedule_is_one_line_over_the_budget() -> None:
    shallow, deep = stages(LATE | {"schedule": "linear"})
    (_, start), (_, top), (end, last) = shallow["lr"]
    assert start == 0 and end == shallow["updates"]
    spent = 0.6 * 50 / end
    assert top == pytest.approx(0.004 * (1 - spent), rel=1e-3)
    assert last == pytest.approx(0.004 * 0.4, rel=0.01)
    assert deep["lr"][0] == [0, 0.0] and deep["lr"][-1][1] == pytest.approx(0, abs=1e-5)
    assert deep["lr"][1][1] == pytest.approx(last * (1 - 20 / deep["updates"]), rel=0.01)
    through = stages(LATE | {"schedule": "linear", "rewarm": 0})[1]["lr"]
    assert through[0][1] == pytest.approx(0.0016, rel=0.01) and len(through) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages": [{"layers": 3}, {"layers": 12, "grow": "stack"}]}, "neither share nor updates"),
        ({"stages": [{"layers": 3, "share": 0.5}]}, "neither for the last stage"),
        ({"budget": 60, "warmup": 300}, r"stages\[0\]: its part of the budget is \d+ updates"),
        ({"decay": 0.5}, r"stages\[1\]: its 4\d\d updates hold no rise of 20 and fall of 500"),
        (
            {"stages": [{"layers": 3, "updates": 9000}, {"layers": 12, "grow": "stack"}]},
            r"stages\[1\]: its part of the budget is 0 updates",
        ),
        ({"stages": [LATE["stages"][0], {"layers": 7, "grow": "stack"}]}, "3 layers cannot grow"),
        ({"stages": [{"layers": 3, "freeze": 9}]}, "freeze: given 9, allowed only in a stage that"),
        ({"stages": [LATE["stages"][0], {"layers": 12}]}, "grow: given null, allowed for every"),
    ],
)
def test_schedules_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        stages(LATE | changes)


def test_frozen_layers_cost_less_and_least_below_the_new_ones() -> None:
    shape = (12, 64, 256, 128, 4400, 0.15)
    whole = flops_per_token(*shape)
    top = flops_per_token(*shape, frozen=range(6))
    spread = flops_per_token(*shape, frozen=range(0, 12, 2))
    assert whole / 3 < top < spread < whole
    # 6 layers forward only: a third of their cost, and no gradient of the tied embedding.
    layer = 6 * (4 * 64**2 + 2 * 64 * 256 + 2 * 128 * 64)
    assert whole - top == pytest.approx(6 * layer * 2 / 3 + 0.15 * 2 * 64 * 4400)


def test_equal_histories_are_trained_once() -> None:
    first = {"layers": 3, "updates": 9, "lr": [[0, 1], [9, 1]], "seed": 1}
    second = {"layers": 6, "updates": 9, "lr": [[0, 1], [9, 1]], "seed": 2, "grow": "stack"}
    third = second | {"layers": 12}
    recipes = {
        "a": [first, second, third],
        "b": [dict(first), second | {"grow": "interpolate"}, third],
        "c": [first | {"seed": 2}, second],
        "d": [first, dict(second)],
    }
    assert stage_folders(recipes, "a") == ["a/L3", "a/L6", "a/L12"]
    # b's last stage has the same entry as a's, but another past.
    assert stage_folders(recipes, "b") == ["a/L3", "b/L6", "b/L12"]
    assert stage_folders(recipes, "c") == ["c/L3", "c/L6"]
    assert stage_folder(recipes, "d", 1) == "a/L6"
    trained = list(trained_stages(recipes))
    assert len(trained) == 7 and not [name for name, _ in trained if name == "d"]


def test_comparison_trains_each_arm_with_each_seed() -> None:
    given = config(late=LATE, other=LATE | {"decay": 0.1})
    given["compare"] = {"arms": ["scratch", "late", "other"], "seeds": [1, 2]}
    check(given, ROOT / "workflow")
    found = resolve(given)
    assert list(found["recipes"]) == [
        f"{arm}-seed{seed}" for arm in ("scratch", "late", "other") for seed in (1, 2)
    ]
    assert found["control"] == "scratch-seed1"
    seeds = [stage["seed"] for recipe in found["recipes"].values() for stage in recipe]
    assert seeds == [1001, 2001, 1001, 1002, 2001, 2002, 1001, 1002, 2001, 2002]
    # The arms share their first stage, seed by seed.
    assert stage_folder(found["recipes"], "other-seed2", 0) == "late-seed2/L3"
    assert resolve(found) == found
    check(found, ROOT / "workflow")


def test_the_last_stage_gets_what_an_early_end_leaves(tmp_path: Path) -> None:
    early = {"layers": 3, "share": 0.6, "until_slope": 30.0}
    given = config(r=WSD | {"stages": [early, LATE["stages"][1]]})
    check(given, ROOT / "workflow")
    found = resolve(given)
    shallow, deep = (trained_stage(found, "r", number) for number in (0, 1))
    assert shallow["until_drop"] == pytest.approx(30 * update_flops(DEFAULT, 3) / 1e15)
    assert "rest_of" not in shallow and "until_drop" not in deep
    run = tmp_path / "run.json"
    for done in (shallow["updates"], shallow["updates"] - 500):
        write_run(run, {"stage": shallow | {"updates": done}}, 1)
        longer = lengthened(deep, [str(run)])
        trained = [shallow | {"updates": done}, longer]
        budget = 1000 * update_flops(DEFAULT, 12)
        assert recipe_flops(DEFAULT, trained) == pytest.approx(budget, rel=0.002)
    extra = longer["updates"] - deep["updates"]
    assert extra > 100
    # The plateau is longer; the rise and the fall are as they were.
    assert longer["lr"][:2] == deep["lr"][:2]
    assert longer["lr"][2:] == [[update + extra, rate] for update, rate in deep["lr"][2:]]
    assert lengthened(found["recipes"]["scratch"][0], []) == found["recipes"]["scratch"][0]


def test_flat_curves() -> None:
    rows = [[update, 0, 0.0, 0.0, 6 - update / 100] for update in (10, 20, 30, 40, 50)]
    assert is_flat(rows, 0.0101) and not is_flat(rows, 0.0099)
    assert not is_flat(rows[:4], 1.0)


def test_rate_of_a_fork_is_the_beginning_of_the_stages() -> None:
    points = [[0, 0.0], [20, 0.004], [100, 0.004], [200, 0.0]]
    assert lr_until(points, 10) == [[0, 0.0], [10, 0.002]]
    assert lr_until(points, 100) == points[:3] and lr_until(points, 200) == points
