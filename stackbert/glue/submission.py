"""The eleven files that the GLUE server takes: written, checked, zipped."""

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stackbert.errors import UserError, write_atomic
from stackbert.glue.predictions import read_predictions
from stackbert.glue.tasks import Task, table, task

HEADER = "index\tprediction"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date of a zip: the same predictions, the same bytes


def wanted() -> list[Task]:
    """The tasks of which the server takes predictions."""
    return [task(name) for name in table() if table()[name].get("submission")]


def write_submission(runs: Sequence[str], folder: str, choice: str) -> None:
    """Write the server's files from run folders (scores.json, test.tsv) of one recipe.

    Of a task's seeds the one with the best first metric on dev is sent; which one that was goes to
    `choice` as JSON. Raises UserError if a task has no run.
    """
    best = _best_runs(runs)
    for wanted_task in wanted():
        owner = wanted_task.predicted_by or wanted_task.name
        if owner not in best:
            raise UserError(f"no run of {owner}, which the submission needs: add it to glue.tasks")
        rows = [
            row
            for row in read_predictions(best[owner]["folder"] / "test.tsv")
            if row["task"] == wanted_task.name
        ]
        lines = [f"{row['index']}\t{_value(wanted_task, row['prediction'])}" for row in rows]
        write_atomic(Path(folder) / wanted_task.submission, "\n".join([HEADER, *lines]) + "\n")
    facts = {name: {"seed": run["seed"], "dev": run["metrics"]} for name, run in best.items()}
    write_atomic(choice, json.dumps({"chosen by": "first metric on dev", **facts}, indent=2) + "\n")


def _best_runs(runs: Sequence[str]) -> dict[str, dict[str, Any]]:
    best: dict[str, dict[str, Any]] = {}
    for folder in map(Path, runs):
        run = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
        run |= {"folder": folder, "score": next(iter(run["metrics"].values()))}
        other = best.get(run["task"])
        if other is None or (run["score"], -run["seed"]) > (other["score"], -other["seed"]):
            best[run["task"]] = run
    return best


def _value(of: Task, prediction: str) -> str:
    """A label as it is, a score within the task's range."""
    if of.labels:
        return prediction
    return f"{min(max(float(prediction), of.range[0]), of.range[1]):.3f}"


def zip_submission(folder: str, output: str) -> None:
    """Check the files in `folder` and zip them; refuse a submission the server would refuse."""
    files = {t.submission: _checked(t, Path(folder) / t.submission) for t in wanted()}
    others = (
        {path.name for path in Path(folder).iterdir()} - files.keys() - {".snakemake_timestamp"}
    )
    if others:
        raise UserError(
            f"{folder} also has {', '.join(sorted(others))}, the server takes {len(files)} files; "
            "remove the rest"
        )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), text, zipfile.ZIP_DEFLATED)
    write_atomic(output, buffer.getvalue())


def _checked(of: Task, path: Path) -> str:
    """Text of a file with the official header, number of rows, order and predictions."""
    if not path.is_file():
        raise UserError(f"{path} is missing; run snakemake, which makes it")
    text = path.read_text(encoding="utf-8")
    header, *rows = text.splitlines() or [""]
    if header != HEADER:
        raise UserError(f"{path}, line 1: {header!r}, the server expects {HEADER!r}")
    official = of.splits["test"].rows[0]
    if len(rows) != official:
        raise UserError(
            f"{path} has {len(rows)} predictions, the server expects {official}; prepare the task "
            "from the official test file"
        )
    for number, row in enumerate(rows):
        index, _, prediction = row.partition("\t")
        if index != str(number) or not _is_allowed(of, prediction):
            allowed = ", ".join(of.labels) or "a number from {:g} to {:g}".format(*of.range)
            raise UserError(
                f"{path}, line {number + 2}: {row!r}, expected index {number} and {allowed}"
            )
    return text


def _is_allowed(of: Task, prediction: str) -> bool:
    if of.labels:
        return prediction in of.labels
    try:
        return of.range[0] <= float(prediction) <= of.range[1]
    except ValueError:
        return False
