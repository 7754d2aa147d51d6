"""The loss curve of one stage, kept as a table that survives interruption."""

import csv
import io
import os
import time
from dataclasses import dataclass
from pathlib import Path

from stackbert.errors import write_atomic

# Set by whoever starts the training process, so that its start-up is counted.
STARTED = "STACKBERT_STARTED"
COLUMNS = ("update", "tokens", "seconds", "train_loss", "valid_mlm_loss")


@dataclass(frozen=True)
class Point:
    """One validation; tokens and seconds are sums over the stage so far, losses in nats."""

    update: int
    tokens: int
    seconds: float
    train_loss: float
    valid_mlm_loss: float


class Curve:
    """Counts tokens, seconds and training loss of a stage and writes a row per validation.

    Seconds run from the start of the process and leave out validation, which is measurement. The
    time of updates that an interruption lost is not in them.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.rows: list[Point] = []
        self.tokens = 0
        self.clock = float(os.environ.get(STARTED, time.time()))
        self.loss, self.weight = 0.0, 0

    def resume(self, update: int) -> None:
        """Take up the rows of an interrupted run that has done `update` updates."""
        if update and self.path.exists():
            with open(self.path, encoding="utf-8", newline="") as file:
                table = list(csv.DictReader(file, delimiter="\t"))
            kept = [row for row in table if int(row["update"]) <= update]
            self.rows = [
                Point(int(r["update"]), int(r["tokens"]), *(float(r[c]) for c in COLUMNS[2:]))
                for r in kept
            ]
        if self.rows:
            self.tokens = self.rows[-1].tokens
            self.clock -= self.rows[-1].seconds

    def add(self, tokens: int, loss: float, weight: int) -> None:
        """Count one update: its tokens, the sum of its MLM losses and of its masked tokens."""
        self.tokens += tokens
        self.loss += loss
        self.weight += weight

    def pause(self) -> None:
        """Stop the clock: validation begins."""
        self._paused = time.time()

    def point(self, update: int, valid_mlm_loss: float) -> None:
        """Write a row for the validation that just ended, and let the clock run again."""
        seconds = self._paused - self.clock
        train_loss = float(self.loss) / self.weight if self.weight else float("nan")
        self.rows.append(
            Point(update, self.tokens, round(seconds, 2), round(train_loss, 5), valid_mlm_loss)
        )
        self.loss, self.weight = 0.0, 0
        self._write()
        self.clock += time.time() - self._paused

    def _write(self) -> None:
        text = io.StringIO()
        writer = csv.writer(text, delimiter="\t", lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([getattr(row, column) for column in COLUMNS] for row in self.rows)
        write_atomic(self.path, text.getvalue())
