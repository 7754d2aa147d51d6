"""When to save between the regular checkpoints: every so many minutes, and before a stop."""

import signal
import time
from typing import Any

# SIGUSR1 is what Slurm can be told to send before the time limit, SIGTERM what it sends at its end.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class Saving:
    """Collects one process's wishes to save and to stop; all processes act on their sum.

    A wish travels in the logging output of an update, which is summed over the processes, so that
    all of them save and stop after the same update. `minutes` 0 saves only before a stop.
    """

    def __init__(self, minutes: float) -> None:
        self.seconds = minutes * 60
        self.saved = time.monotonic()
        self.told_to_stop = False
        self.save = self.stop = False  # what all processes do after this update

    def listen(self) -> None:
        """From now on a signal to stop waits for the end of the update."""
        for number in SIGNALS:
            signal.signal(number, self._on_signal)

    def _on_signal(self, *_: Any) -> None:
        self.told_to_stop = True

    def wishes(self, first: bool) -> dict[str, int]:
        """This process's part of the sum; only the `first` process has a clock."""
        due = first and 0 < self.seconds < time.monotonic() - self.saved
        return {"stop": int(self.told_to_stop), "save": int(self.told_to_stop or due)}

    def decide(self, save: float, stop: float) -> None:
        """Take the sums of an update."""
        self.save, self.stop = save > 0, stop > 0

    def finish(self) -> None:
        """Save and stop after this update, which every process decides alike."""
        self.save = self.stop = True

    def done(self) -> None:
        """A checkpoint was written: the clock starts anew."""
        self.saved, self.save = time.monotonic(), False
