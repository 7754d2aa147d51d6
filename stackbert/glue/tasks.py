"""The task table (workflow/resources/glue_tasks.yaml) as objects, and what a configuration asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from stackbert.errors import UserError

TABLE = Path(__file__).resolve().parents[2] / "workflow" / "resources" / "glue_tasks.yaml"
SPLITS = ("train", "dev", "test")
DATA_KEYS = ("sentences", "label", "labels", "range", "skip_broken", "splits", "download")
TRAINING_KEYS = (
    "labels",
    "loss",
    "metrics",
    "symmetric",
    "epochs",
    "batch",
    "learning_rate",
)
Entry = dict[str, Any]


@dataclass(frozen=True)
class Split:
    """Layout of one file; the keys are described in the table."""

    file: str
    header: bool
    columns: Sequence[str]
    rows: Sequence[int]
    sentences: Sequence[str]
    optional: Sequence[str] = ()
    quoted: bool = False
    where: Mapping[str, str] = field(default_factory=dict)
    every: int = 0
    part: str = ""
    ids: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """One row of the task table; `splits` has the layout of the files that are read."""

    name: str
    splits: Mapping[str, Split]
    label: str
    symmetric: bool
    metrics: Sequence[str]
    loss: Literal["binary", "classes", "regression", "majority"] = "classes"
    labels: Sequence[str] = ()
    range: Sequence[float] = ()
    epochs: int = 0
    batch: int = 0
    learning_rate: float = 0.0
    submission: str = ""
    predicted_by: str = ""
    starts_from: str = ""
    skip_broken: bool = False
    pair: bool = False

    @property
    def outputs(self) -> int:
        """Numbers that the classifier gives per example."""
        return len(self.labels) if self.loss == "classes" else 1


@cache
def table() -> dict[str, Entry]:
    """The task table as plain values, by task name."""
    with open(TABLE, encoding="utf-8") as file:
        return yaml.safe_load(file)


def entry(name: str) -> Entry:
    """One task of the table as plain values; UserError if there is none of that name."""
    try:
        return table()[name]
    except KeyError:
        raise UserError(
            f"glue.tasks names {name!r}, the tasks are {', '.join(table())}: correct the name"
        ) from None


def make_task(name: str, values: Entry, downloaded: bool = False) -> Task:
    """A task from its table entry, with the layout of GLUE's folder or of what is downloaded."""
    values = dict(values)
    splits, sentences = values.pop("splits"), values.pop("sentences")
    download = values.pop("download", {})
    values.pop("folder", None)
    if downloaded:
        splits = download.get("splits", splits)
    layouts = {split: Split(**{"sentences": sentences, **keys}) for split, keys in splits.items()}
    return Task(name=name, splits=layouts, pair=len(sentences) == 2, **values)


def task(name: str) -> Task:
    """A task with the layout of GLUE's folder; UserError for an unknown name."""
    return make_task(name, entry(name))


def trained(names: Sequence[str]) -> list[str]:
    """Those of the tasks that have runs of their own; UserError if a task's model is not asked."""
    for name in names:
        model = entry(name).get("predicted_by")
        if model and model not in names:
            raise UserError(
                f"glue.tasks has {name}, which the model of {model} predicts: add {model} to it"
            )
    return [name for name in names if "predicted_by" not in entry(name)]


def predicted(name: str, names: Sequence[str]) -> list[str]:
    """Further tasks that the model of task `name` predicts, in a run that asks for `names`.

    MNLI's mismatched half always belongs to MNLI; the diagnostic set does if it is asked for.
    """
    others = [other for other, values in table().items() if values.get("predicted_by") == name]
    return [other for other in others if entry(other).get("folder") == name or other in names]


def start(config: Mapping[str, Any], name: str, model: str, pretrained: str) -> str:
    """Weights that task `name` starts from: the last stage's, or another task's if that is asked.

    `model` is the path of a fine-tuned model with `{task}` for the task's name.
    """
    source = entry(name).get("starts_from")
    if not source or not config["glue"].get("mnli_start", False):
        return pretrained
    return model.format(task=source)


def check_start(settings: Mapping[str, Any]) -> None:
    """Refuse a start from the model of a task that is not asked for."""
    if settings.get("mnli_start", False) and "MNLI" not in settings["tasks"]:
        raise UserError("glue.mnli_start is true but glue.tasks lacks MNLI: add it, or set false")


def grid_points(settings: Mapping[str, Any]) -> list[str]:
    """Names of the points of glue.grid, such as lr5e-05_epochs3; none without a grid."""
    grid = settings.get("grid") or {}
    rates, epochs = grid.get("learning_rate", []), grid.get("epochs", [])
    return [f"lr{rate:g}_epochs{number}" for rate in rates for number in epochs]


def grid_point(name: str) -> dict[str, Any]:
    """Rate and epochs of a point by its name."""
    rate, _, epochs = name.removeprefix("lr").partition("_epochs")
    return {"learning_rate": float(rate), "epochs": int(epochs)}


def submits(names: Sequence[str]) -> bool:
    """Whether the tasks are all that the GLUE server wants; only then test sets are predicted."""
    wanted = [name for name, values in table().items() if values.get("submission")]
    return all(name in names or entry(name).get("folder") in names for name in wanted)


def run_tasks(name: str, names: Sequence[str]) -> list[str]:
    """The task of a run and the others that its model predicts."""
    return [name, *predicted(name, names)]


def raw_folder(name: str, settings: Mapping[str, Any], results: str) -> str:
    """Folder of a task's files: the user's, or the one that is downloaded to."""
    folder = entry(name).get("folder", name)
    return str(Path(settings["path"] or f"{results}/glue_raw") / folder)


def raw_files(name: str, settings: Mapping[str, Any], results: str) -> list[str]:
    """What preparing a task reads: the downloaded folder, or those of the user's files there are.

    A file that is missing is found by the step itself, which can say what to do.
    """
    folder = Path(raw_folder(name, settings, results))
    if settings["path"] is None:
        return [str(folder)]
    names = [split["file"] for split in entry(name)["splits"].values()]
    return [str(p) for n in names for p in (folder / n, folder / f"{n}.gz") if p.is_file()]


def settings(config: Mapping[str, Any], recipe: str, name: str) -> dict[str, Any]:
    """What of the configuration a fine-tuning run of task `name` depends on, and nothing else."""
    glue, pretrain = config["glue"], config["pretrain"]
    return {
        "tasks": run_tasks(name, glue["tasks"]),
        "test": submits(glue["tasks"]),
        "model": {**config["model"], "layers": config["recipes"][recipe][-1]["layers"]},
        "adam": {key: pretrain[key] for key in ("betas", "eps", "weight_decay", "clip_norm")},
        **{key: glue[key] for key in ("max_positions", "epochs", "learning_rate")},
        "keep": glue.get("keep", "last"),
        **{key: config[key] for key in ("threads", "device")},
    }


def data_keys(name: str) -> Entry:
    """The part of a task's entry that its prepared data depend on."""
    values = {key: value for key, value in entry(name).items() if key in DATA_KEYS}
    values["download"] = {k: v for k, v in values.get("download", {}).items() if k == "splits"}
    return values | {"symmetric": False, "metrics": []}


def training_keys(name: str) -> Entry:
    """The part of a task's entry that its fine-tuning depends on."""
    return {key: value for key, value in entry(name).items() if key in TRAINING_KEYS}
