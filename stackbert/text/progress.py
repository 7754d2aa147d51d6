"""Progress of a long step in plain lines on standard error."""

import sys
import time

REPORT_EVERY = 10.0  # seconds


class Progress:
    """Says every ten seconds how far a step is and when it will end."""

    def __init__(self, step: str, total: int) -> None:
        self._step, self._total, self._done = step, max(1, total), 0
        self._started = self._told = time.monotonic()

    def add(self, amount: int) -> None:
        """Count `amount` more of the total as done."""
        self.at(self._done + amount)

    def at(self, done: int) -> None:
        """Say that `done` of the total is done."""
        self._done = done
        now = time.monotonic()
        if now - self._told > REPORT_EVERY:
            self._told = now
            share = min(1.0, self._done / self._total)
            left = (now - self._started) * (1 - share) / max(share, 1e-9)
            message = f"{self._step}: {100 * share:.0f} %, {left:.0f} s left"
            print(message, file=sys.stderr, flush=True)
