"""The task table and what a configuration asks of it."""

import pytest

from stackbert.errors import UserError
from stackbert.glue import tasks

GLUE = ["CoLA", "SST-2", "MRPC", "STS-B", "QQP", "MNLI", "QNLI", "RTE", "WNLI", "AX"]


@pytest.mark.parametrize("name", tasks.table())
def test_every_entry_is_complete(name: str) -> None:
    task = tasks.task(name)
    assert bool(task.labels) != bool(task.range)
    assert set(task.metrics) <= {"accuracy", "f1", "matthews", "pearson", "spearman"}
    if not task.predicted_by and task.loss != "majority":
        assert task.epochs and task.batch and task.learning_rate
        assert {"train", "dev"} <= task.splits.keys()
    for split, layout in task.splits.items():
        assert set(layout.sentences) <= set(layout.columns)
        assert split == "test" or task.label in layout.columns


@pytest.mark.parametrize("name", tasks.table())
def test_downloads_have_checksums_and_the_files_that_are_read(name: str) -> None:
    entry = tasks.entry(name)
    folder_entry = tasks.entry(entry.get("folder", name))
    download = folder_entry["download"]
    task = tasks.make_task(name, entry | {"download": download}, downloaded=True)
    files = set(download.get("members", ())) | set(download.get("files", ()))
    assert {layout.file for layout in task.splits.values()} <= files
    members = download["members"].values() if "package" in download else []
    sources = [*members, *download.get("files", {}).values()]
    sources += [download["archive"]] if "archive" in download else []
    assert sources
    assert all(len(source["sha256"]) == 64 for source in sources)


def test_losses_and_outputs_are_the_papers() -> None:
    binary = {name for name in GLUE if tasks.task(name).loss == "binary"}
    assert binary == {"CoLA", "MRPC", "QQP"}
    symmetric = {name for name in GLUE if tasks.task(name).symmetric}
    assert symmetric == {"MRPC", "STS-B", "QQP"}
    outputs = {name: tasks.task(name).outputs for name in ("CoLA", "MNLI", "STS-B", "RTE")}
    assert outputs == {"CoLA": 1, "MNLI": 3, "STS-B": 1, "RTE": 2}


def test_runs_and_what_they_predict() -> None:
    assert tasks.trained(["MNLI", "AX", "RT"]) == ["MNLI", "RT"]
    assert tasks.predicted("MNLI", ["MNLI"]) == ["MNLI-mm"]
    assert tasks.predicted("MNLI", ["MNLI", "AX"]) == ["MNLI-mm", "AX"]
    assert tasks.predicted("RTE", ["MNLI", "AX", "RTE"]) == []
    assert tasks.submits(GLUE)
    assert not tasks.submits([name for name in GLUE if name != "AX"])


def test_unknown_task_and_task_without_its_model_are_refused() -> None:
    with pytest.raises(UserError, match="'SST2', the tasks are CoLA, SST-2"):
        tasks.trained(["SST2"])
    with pytest.raises(UserError, match="the model of MNLI predicts: add MNLI"):
        tasks.trained(["AX"])


def test_settings_hold_nothing_of_other_tasks() -> None:
    config = {
        "glue": {"tasks": ["RTE"], "max_positions": 8, "epochs": None, "learning_rate": None},
        "pretrain": {"betas": [0.9, 0.99], "eps": 1e-6, "weight_decay": 0.1, "clip_norm": 0},
        "model": {"width": 8},
        "recipes": {"r": [{"layers": 3}, {"layers": 6}]},
        "threads": 1,
        "device": "cpu",
    }
    before = tasks.settings(config, "r", "RTE")
    assert before["model"] == {"width": 8, "layers": 6}
    config["glue"]["tasks"] = ["RTE", "CoLA"]
    assert tasks.settings(config, "r", "RTE") == before
