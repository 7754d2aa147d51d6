"""From the classifier's outputs to predictions, and the tables they are kept in."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stackbert.errors import UserError
from stackbert.glue.tasks import Task

COLUMNS = ("index", "prediction", "label")


def as_labels(task: Task, outputs: NDArray[np.float32]) -> list[str]:
    """Outputs [examples, outputs] as label strings, or as scores with six decimals."""
    if not np.isfinite(outputs).all():
        raise UserError(
            f"{task.name}: a prediction is not a finite number, so fine-tuning diverged; lower "
            "glue.learning_rate"
        )
    if task.loss == "classes":
        return [task.labels[i] for i in outputs.argmax(axis=1)]
    if task.loss == "binary":
        return [task.labels[int(logit > 0)] for logit in outputs[:, 0]]
    return [f"{2 * float(value) + 3:.6f}" for value in outputs[:, 0]]


def prediction_table(
    indices: Sequence[str], predictions: Sequence[str], labels: Sequence[str]
) -> str:
    """Text of a table `index prediction label`; labels are empty in a test set."""
    rows = zip(indices, predictions, labels, strict=True)
    return "\n".join("\t".join(row) for row in [COLUMNS, *rows]) + "\n"


def read_predictions(path: str | Path) -> list[dict[str, str]]:
    """Rows of such a table, as column -> text."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    header = lines[0].split("\t")
    return [dict(zip(header, line.split("\t"), strict=True)) for line in lines[1:]]
