"""The loss curve of one stage, kept as a table that survives interruption."""

import os
import time
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from stackbert.stage_curve import is_flat, write_stage_curve

# Set by whoever starts the training process, so that its start-up is counted.
STARTED = "STACKBERT_STARTED"


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
    time of updates that an interruption lost is not in them. Its state is part of a checkpoint.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.rows: list[Point] = []
        self.tokens = 0
        self.clock = float(os.environ.get(STARTED, time.time()))
        self.loss, self.weight = 0.0, 0

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of the curve, as plain values."""
        return {
            "rows": [astuple(row) for row in self.rows],
            "tokens": self.tokens,
            "seconds": time.time() - self.clock,
            "loss": float(self.loss),
            "weight": self.weight,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's state; this process's start-up counts too."""
        self.rows = [Point(*row) for row in state["rows"]]
        self.tokens, self.loss, self.weight = (state[key] for key in ("tokens", "loss", "weight"))
        self.clock -= state["seconds"]

    def add(self, tokens: int, loss: float, weight: int) -> None:
        """Count one update: its tokens, the sum of its MLM losses and of its masked tokens."""
        self.tokens += tokens
        self.loss += loss
        self.weight += weight

    def pause(self) -> None:
        """Stop the clock: validation begins."""
        self._paused = time.time()

    def is_flat(self, drop: float) -> bool:
        """Whether the last validations fell by less than `drop` nats per update."""
        return is_flat([astuple(row) for row in self.rows], drop)

    def point(self, update: int, valid_mlm_loss: float, write: bool = True) -> None:
        """Add a row for the validation that just ended, and let the clock run again."""
        seconds = self._paused - self.clock
        train_loss = float(self.loss) / self.weight if self.weight else float("nan")
        self.rows.append(
            Point(update, self.tokens, round(seconds, 2), round(train_loss, 5), valid_mlm_loss)
        )
        self.loss, self.weight = 0.0, 0
        if write:
            write_stage_curve(self.path, map(astuple, self.rows))
        self.clock += time.time() - self._paused
