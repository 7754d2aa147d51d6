"""From sentence pairs to batches: `<cls> A </s> B </s>` with segment ids, padded or end to end.

Symbols: b batch, n positions, T tokens of a batch.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]

SPECIALS = 3  # <cls>, and one </s> after each of A and B


class SpecialIds(Protocol):
    """What a dictionary must know: fairseq's `Dictionary` or our `Vocabulary`."""

    def bos(self) -> int:
        """Id of `<cls>`."""

    def pad(self) -> int:
        """Id of `<pad>`."""

    def eos(self) -> int:
        """Id of `</s>`."""


def truncated_lengths(a: Ids, b: Ids, room: int) -> tuple[Ids, Ids]:
    """Lengths [b] of both parts after longest-first truncation of each pair to `room` tokens.

    One token at a time is taken from the longer part, from B where both are equally long.
    """
    a, b = a.copy(), b.copy()
    over = np.maximum(a + b - room, 0)
    # First the longer part comes down to the shorter's length, then both go down in turn.
    for longer, shorter in ((a, b), (b, a)):
        cut = np.minimum(over, np.maximum(longer - shorter, 0))
        longer -= cut
        over -= cut
    b -= (over + 1) // 2
    a -= over // 2
    return a, b


def collate_pairs(
    pairs: Sequence[tuple[Ids, Ids | None]], dictionary: SpecialIds, max_positions: int
) -> dict[str, NDArray[np.int64]]:
    """Lay pairs out as `tokens`, `segments` [b, n] and `lengths` [b].

    Segment ids are 1 for `<cls>`, A and its `</s>`, 0 for B, its `</s>` and padding. A pair whose
    second part is None is `<cls> A </s>`.
    """
    size_a = np.array([len(a) for a, _ in pairs])
    size_b = np.array([0 if b is None else len(b) for _, b in pairs])
    single = np.array([b is None for _, b in pairs])
    size_a, size_b = truncated_lengths(size_a, size_b, max_positions - SPECIALS)
    lengths = size_a + size_b + SPECIALS - single
    tokens = np.full((len(pairs), lengths.max()), dictionary.pad(), dtype=np.int64)
    segments = np.zeros_like(tokens)
    tokens[:, 0] = dictionary.bos()
    for row, (a, b) in enumerate(pairs):
        end = 1 + size_a[row]
        tokens[row, 1:end] = a[: size_a[row]]
        tokens[row, end] = dictionary.eos()
        segments[row, : end + 1] = 1
        if b is not None:
            tokens[row, end + 1 : lengths[row] - 1] = b[: size_b[row]]
            tokens[row, lengths[row] - 1] = dictionary.eos()
    return {"tokens": tokens, "segments": segments, "lengths": lengths}


def pack_pairs(
    pairs: Sequence[tuple[Ids, Ids]], dictionary: SpecialIds, max_positions: int
) -> dict[str, NDArray[np.int64]]:
    """Lay pairs end to end as `tokens`, `segments`, `positions` [T] and `lengths` [b].

    The same sequences as those of `collate_pairs`, without padding.
    """
    size_a, size_b = truncated_lengths(
        np.array([len(a) for a, _ in pairs]),
        np.array([len(b) for _, b in pairs]),
        max_positions - SPECIALS,
    )
    first, end = [dictionary.bos()], [dictionary.eos()]
    cut = zip(pairs, size_a, size_b, strict=True)
    parts = [part for (a, b), m, n in cut for part in (first, a[:m], end, b[:n], end)]
    tokens = np.concatenate(parts).astype(np.int64, copy=False)
    lengths = size_a + size_b + SPECIALS
    sides = np.stack([size_a + 2, size_b + 1], axis=1).ravel()  # <cls> A </s>, then B </s>
    segments = np.repeat(np.tile([1, 0], len(pairs)), sides)
    positions = np.arange(len(tokens)) - np.repeat(lengths.cumsum() - lengths, lengths)
    return {"tokens": tokens, "segments": segments, "positions": positions, "lengths": lengths}


def query_slots(lengths: Ids, rows: Ids) -> tuple[Ids, Ids, Ids]:
    """Where the last layer must look from, so that sequences of a length have equally many queries.

    `lengths` [b] in rising order of sequences end to end, `rows` [r] the positions asked for, at
    least one of each sequence. Returns the slots [S], positions among all tokens, filled up with a
    sequence's first; the rows' numbers [r] among the slots; and for each run of sequences of equal
    length how many slots one has.
    """
    starts = lengths.cumsum() - lengths
    sequence = np.searchsorted(starts, rows, side="right") - 1
    counts = np.bincount(sequence, minlength=len(lengths))
    runs = np.flatnonzero(np.diff(lengths, prepend=0))  # first sequence of each
    widths = np.maximum.reduceat(counts, runs)
    width = np.repeat(widths, np.diff(runs, append=len(lengths)))
    order = np.argsort(sequence, kind="stable")
    rank = np.empty_like(order)  # of a row within its sequence
    rank[order] = np.arange(len(rows)) - np.repeat(counts.cumsum() - counts, counts)
    places = (width.cumsum() - width)[sequence] + rank
    slots = np.repeat(starts, width)
    slots[places] = rows
    return slots, places, widths
