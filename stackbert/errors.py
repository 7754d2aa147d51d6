"""The one exception for what a user can mend, and how a rule's script reports it."""

import glob
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stackbert.owner import owned


class UserError(Exception):
    """Wrong input or configuration: one line with what was given, what was expected, what to do."""


def run_step(step: Callable[[], Any], log: str, outputs: Iterable[str] = ()) -> None:
    """Run one rule's step; turn what a user can mend into one line and exit code 1.

    The line goes to standard error and is appended to `log`. A full disk or a folder that cannot
    be written is a user's matter too. Any other exception is a defect and keeps its traceback.
    `outputs` are named in the message of a failed write. Counters that the step returns, what it
    read and wrote, become a line of `log`.
    """
    try:
        with owned(log):
            _sweep(outputs)
            counts = step()
            if isinstance(counts, Mapping):
                _note(log, counts)
    except (UserError, OSError) as error:
        message = f"error: {_one_line(error, list(outputs))}"
        print(message, file=sys.stderr, flush=True)
        try:
            with open(log, "a", encoding="utf-8") as file:
                file.write(message + "\n")
        except OSError:  # the log's disk may be the full one; the line above was printed
            pass
        sys.exit(1)


def _note(log: str, counts: Mapping[str, Any]) -> None:
    said = ", ".join(f"{name} {value}" for name, value in counts.items())
    with open(log, "a", encoding="utf-8") as file:
        file.write(f"{datetime.now(UTC).isoformat(timespec='seconds')} {said}\n")


def _sweep(outputs: Iterable[str]) -> None:
    """Remove the temporary files that an earlier, killed job of the same step left behind."""
    for output in map(Path, outputs):
        for stale in output.parent.glob(f"{glob.escape(output.name)}.*.tmp"):
            stale.unlink(missing_ok=True)


def _one_line(error: Exception, outputs: list[str]) -> str:
    if isinstance(error, UserError):
        return " ".join(str(error).split())
    where = getattr(error, "filename", None) or ", ".join(outputs) or "an output"
    reason = getattr(error, "strerror", None) or error
    return f"{where}: {reason}. Free space or mend the folder, then run the same command again"


def sync(path: str | Path) -> None:
    """Have a file that another program wrote, and its name, on the disk."""
    for item in (Path(path), Path(path).parent):
        descriptor = os.open(item, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_atomic(path: str | Path, data: bytes | str) -> None:
    """Write `data` to `path` whole or not at all (temporary name, sync, rename)."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + f".{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data.encode("utf-8") if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
