"""Reading and writing the corpus' files: streaming, parted by documents, never half-written."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TextIO

from stackbert.errors import write_atomic


@contextmanager
def replacing(path: str | Path, mode: str = "w") -> Iterator[Any]:
    """Open a temporary file that takes the place of `path` when the block ends without error.

    Text is UTF-8 with LF; lone surrogates (a dump may name them by number) are dropped.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # One name, not one per process: what a killed job left is overwritten by the next try.
    temporary = path.with_name(f"{path.name}.tmp")
    text: dict[str, Any] = (
        {} if "b" in mode else {"encoding": "utf-8", "newline": "\n", "errors": "ignore"}
    )
    try:
        with open(temporary, mode, **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def open_lines(path: str | Path) -> TextIO:
    """Open UTF-8 text whose lines end in LF only: U+2028, form feed and the like stay inside."""
    return open(path, encoding="utf-8", newline="\n")


def shard_lines(paths: Sequence[str | Path], shard: int, shards: int) -> Iterator[bytes]:
    """The lines that begin in the `shard`-th (from 0) of `shards` equal byte ranges of some files.

    The files count as one after the other. Every line belongs to exactly one shard, and shard after
    shard they are the files.
    """
    sizes = [os.path.getsize(path) for path in paths]
    start, end = (sum(sizes) * number // shards for number in (shard, shard + 1))
    for path, size in zip(paths, sizes, strict=True):
        yield from _lines_between(path, max(0, start), min(size, end))
        start, end = start - size, end - size


def _lines_between(path: str | Path, start: int, end: int) -> Iterator[bytes]:
    """The lines of a file whose first byte is at `start` or later and before `end`."""
    if start >= end:
        return
    with open(path, "rb") as file:
        if start:
            file.seek(start - 1)
            file.readline()
        while file.tell() < end and (line := file.readline()):
            yield line


def write_json(path: str | Path, counts: Mapping[str, int]) -> None:
    """Counters of one step as JSON, in the order given."""
    write_atomic(path, json.dumps(counts, indent=1) + "\n")


def read_json(path: str | Path) -> dict[str, int]:
    """Counters written by `write_json`."""
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def concatenate(paths: list[str], file: IO[bytes]) -> None:
    """Append files to an open binary file, a megabyte at a time."""
    for path in paths:
        with open(path, "rb") as part:
            while chunk := part.read(1 << 20):
                file.write(chunk)
