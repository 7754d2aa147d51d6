"""The two decisions that need the whole corpus: which lines are repeated, which go to validation.

Each shard gives its kept lines' 128-bit hashes in order. They are compared in passes, each over the
hashes of one residue class, as many as the memory budget asks for; only numbers are held, never
lines: one byte per line of the corpus, and about 50 bytes per hash of the class at hand.
"""

import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stackbert.errors import UserError
from stackbert.text.files import replacing, write_json

DUPLICATE, TRAIN, VALID = 0, 1, 2  # what becomes of a line; one byte each in a shard's flag file
HASH_BYTES = 16
_WORKING_BYTES = 50  # per hash while one class is sorted
_CHUNK = 1 << 20  # hashes read at a time


def line_hash(line: str) -> bytes:
    """128 bits: among 10^9 lines the chance of any collision is below 10^-20."""
    return hashlib.blake2b(line.encode("utf-8", "ignore"), digest_size=HASH_BYTES).digest()


def split(
    hashes: Sequence[str | Path],
    flags: Sequence[str | Path],
    counts_path: str | Path,
    valid_every: int,
    memory_mb: int = 1000,
) -> dict[str, int]:
    """Turn each shard's hashes into flags: first occurrences to training, every n-th to validation.

    `memory_mb` is what the whole process may take (the hashes get half of it).
    Raises UserError if nothing is left, or too little for both parts.
    """
    sizes = [os.path.getsize(path) // HASH_BYTES for path in hashes]
    total = sum(sizes)
    fate = np.full(total, TRAIN, dtype=np.uint8)
    passes = max(1, -(-total * _WORKING_BYTES // (memory_mb << 19)))
    for residue in range(passes):
        print(f"split: pass {residue + 1} of {passes}", file=sys.stderr, flush=True)
        fate[_repeated(hashes, residue, passes)] = DUPLICATE
    kept = np.flatnonzero(fate)
    fate[kept[valid_every - 1 :: valid_every]] = VALID
    _require(total, len(kept), valid_every)
    for path, part in zip(flags, np.split(fate, np.cumsum(sizes)[:-1]), strict=True):
        with replacing(path, "wb") as file:
            file.write(part.tobytes())
    valid = len(kept) // valid_every
    counts = {"duplicates": total - len(kept), "train": len(kept) - valid, "valid": valid}
    write_json(counts_path, counts)
    return counts


def _repeated(hashes: Sequence[str | Path], residue: int, passes: int) -> NDArray[np.int64]:
    """Global positions of the lines of one class whose hash occurred before."""
    chosen = list(_class_members(hashes, residue, passes))
    keys = np.concatenate([key for key, _ in chosen] or [np.empty((0, 2), dtype="<u8")])
    positions = np.concatenate([position for _, position in chosen] or [np.empty(0, np.int64)])
    order = np.lexsort((keys[:, 1], keys[:, 0]))  # stable: equal keys stay in the corpus' order
    keys = keys[order]
    same = (keys[1:] == keys[:-1]).all(axis=1)
    return positions[order[1:][same]]


def _class_members(
    hashes: Sequence[str | Path], residue: int, passes: int
) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.int64]]]:
    """Keys [k, 2] and global positions [k] of a class, chunk by chunk, in the corpus' order."""
    offset = 0
    for path in hashes:
        with open(path, "rb") as file:
            while len(chunk := np.fromfile(file, dtype="<u8", count=2 * _CHUNK).reshape(-1, 2)):
                members = np.flatnonzero(chunk[:, 0] % passes == residue)
                yield chunk[members], members + offset
                offset += len(chunk)


def _require(total: int, kept: int, valid_every: int) -> None:
    if not total:
        raise UserError(
            "no line of the corpus is left after cleaning. The dump's text is too short, or not in "
            "English; give another dump (corpus.dump)."
        )
    if kept < valid_every:
        raise UserError(
            f"only {kept} paragraphs are left after cleaning, so every {valid_every}th gives no "
            "validation set. Give a bigger dump (corpus.dump) or lower corpus.valid_every."
        )
