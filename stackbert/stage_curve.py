"""The table of one stage's loss curve, written while it is trained and again when it is done."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from stackbert.errors import write_atomic

COLUMNS = ("update", "tokens", "seconds", "train_loss", "valid_mlm_loss")

WINDOW = 5  # validations over which the slope of a curve is taken


def is_flat(rows: Sequence[Sequence[Any]], drop: float) -> bool:
    """Whether the validation loss fell by less than `drop` nats per update over WINDOW points."""
    if len(rows) < WINDOW:
        return False
    (first, last), loss = (rows[-WINDOW], rows[-1]), COLUMNS.index("valid_mlm_loss")
    return bool(first[loss] - last[loss] < drop * (last[0] - first[0]))


def write_stage_curve(path: str | Path, rows: Iterable[Sequence[Any]]) -> None:
    """Write rows of COLUMNS as tab-separated text."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    write_atomic(path, text.getvalue())
