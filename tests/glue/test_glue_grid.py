"""The grid over rates and epochs, and starts from another task's model."""

import json
from pathlib import Path

import pytest

from stackbert.errors import UserError
from stackbert.glue import tasks
from stackbert.glue.grid import choose, with_choice

GRID = {"grid": {"learning_rate": [5e-5, 0.001], "epochs": [3, 10]}}


def test_points_have_names_that_give_their_values_back() -> None:
    points = tasks.grid_points(GRID)
    assert points == ["lr5e-05_epochs3", "lr5e-05_epochs10", "lr0.001_epochs3", "lr0.001_epochs10"]
    assert tasks.grid_point(points[1]) == {"learning_rate": 5e-5, "epochs": 10}
    assert tasks.grid_points({}) == tasks.grid_points({"grid": None}) == []


def test_the_best_on_dev_is_chosen_and_everything_tried_reported(tmp_path: Path) -> None:
    paths = []
    for number, value in enumerate([0.2, 0.5, 0.5]):
        run = {"learning_rate": 0.1 * number, "epochs": number, "seed": 1}
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(run | {"metrics": {"pearson": value, "spearman": 0.9}}))
        paths.append(str(path))
    choose(paths, str(tmp_path / "choice.json"))
    choice = json.loads((tmp_path / "choice.json").read_text())
    assert (choice["learning_rate"], choice["epochs"], choice["chosen on"]) == (0.1, 1, "dev")
    assert [point["pearson"] for point in choice["tried"]] == [0.2, 0.5, 0.5]
    settings = with_choice({"epochs": None, "learning_rate": None}, str(tmp_path / "choice.json"))
    assert settings == {"epochs": 1, "learning_rate": 0.1}
    assert with_choice({"epochs": 3}, None) == {"epochs": 3}


def test_start_from_mnli_only_where_asked_and_meant() -> None:
    config = {"glue": {"mnli_start": True, "tasks": ["MNLI", "RTE", "CoLA"]}}
    model, pretrained = "glue/{task}/model.pt", "checkpoint.pt"
    assert tasks.start(config, "RTE", model, pretrained) == "glue/MNLI/model.pt"
    assert tasks.start(config, "CoLA", model, pretrained) == pretrained
    assert tasks.start({"glue": {}}, "RTE", model, pretrained) == pretrained
    tasks.check_start(config["glue"])
    with pytest.raises(UserError, match=r"glue\.tasks lacks MNLI"):
        tasks.check_start({"mnli_start": True, "tasks": ["RTE"]})
