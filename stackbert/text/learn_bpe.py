"""Byte pair encoding, step 8, first half: subword-nmt's merges from tables of word counts.

The merges are those of subword-nmt, one for one: always the pair of symbols that stands most often
next to each other, places that overlap counted each (twice in `aaa`); of equally frequent ones the
last by its strings; merged from left to right; none that occurs only once. subword-nmt updates its
counts and sets rare pairs aside, and comes to the same, because a symbol's string fixes how it was
merged: no pair gets more frequent after it first occurred. The one exception is a word with
subword-nmt's mark `</w>` spelled out inside it; Moses' tokenizer parts that mark into words.

Memory: 4 bytes for each character of the different words, and the places of the pairs that may come
next; there is no Python object per word. subword-nmt takes about 1.3 kB for each different word.
"""

import heapq
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackbert.errors import UserError
from stackbert.text.bpe import read_tables
from stackbert.text.files import replacing
from stackbert.text.progress import Progress

# A symbol is the code point of a character, or _MERGED and the number of the merge that made it.
_MERGED = 0x110000
_FINAL = 1 << 30  # the bit of a symbol at the end of a word
_SYMBOL = (1 << 32) - 1  # a pair's key is its first symbol << 32 | its second
_LEAST = 2  # places of a pair that is merged, as in subword-nmt
_BLOCK = 1 << 16  # cells that are looked at at a time
_BUCKET_BITS = 18

_Ints = NDArray[np.int64]


def learn(tables: Iterable[str | Path], codes: str | Path, merges: int) -> dict[str, int]:
    """Learn `merges` merges from tables of word counts (several tables count as their sum).

    Raises UserError if there is no merge to learn.
    """
    progress = Progress("learn_bpe", merges)
    merger, learnt = _Merger(tables), 0
    with replacing(codes) as file:
        file.write("#version: 0.2\n")
        for first, second in merger.merges(merges):
            file.write(f"{first} {second}\n")
            learnt += 1
            progress.at(learnt)
        if not learnt:
            raise UserError(
                "no pair of characters occurs twice in the words of the corpus, so there is "
                "nothing to merge. Give a bigger dump (corpus.dump)."
            )
    return {"words": merger.words, "merges": learnt}


class _Last(tuple[str, str]):
    """A pair of strings that a heap gives out greatest first."""

    def __lt__(self, other: Any) -> bool:
        return tuple.__gt__(self, other)


class _Words:
    """All different words, one after the other, in cells of one array.

    At first each character has a cell. A merged symbol stands in the first cell of its characters;
    their others are negative, the last one by the distance to the first.
    """

    def __init__(self, tables: Iterable[str | Path]) -> None:
        self.number = 0
        groups: dict[int, bytearray] = defaultdict(bytearray)  # words of the same frequency
        for word, count in read_tables(tables):
            self.number += 1
            group = groups[count]
            group += word.encode("utf-32-le")
            group[-1] |= _FINAL >> 24  # in the highest byte of the last character
        sizes = [len(group) // 4 for group in groups.values()]
        self.cells = np.empty(1 + sum(sizes), dtype="<i4")
        self.cells[0] = _FINAL  # nothing is left of the first word
        self._starts = np.cumsum([1, *sizes])[:-1]
        self._frequencies = np.fromiter(groups, dtype=np.int64)
        for count, start, size in zip(list(groups), self._starts.tolist(), sizes, strict=True):
            self.cells[start : start + size] = np.frombuffer(groups.pop(count), dtype="<i4")

    def counts(self, places: _Ints) -> _Ints:
        """How often the words at some places occur."""
        return self._frequencies[np.searchsorted(self._starts, places, side="right") - 1]

    def before(self, places: _Ints) -> _Ints:
        """Where the symbols begin that end right before some places."""
        places = places - 1
        return places + np.minimum(self.cells[places], 0)

    def pairs(self) -> Iterator[tuple[_Ints, _Ints]]:
        """Keys and places of all pairs, in order, block by block."""
        places = np.empty(0, dtype=np.int64)
        for start in range(0, len(self.cells), _BLOCK):
            block = np.flatnonzero(self.cells[start : start + _BLOCK] >= 0) + start
            places = np.concatenate([places[-1:], block])
            symbols = self.cells[places]
            inside = np.flatnonzero(symbols[:-1] & _FINAL == 0)
            yield _keys(symbols[inside], symbols[inside + 1]), places[inside]


class _Merger:
    """Finds the most frequent pair and merges it, again and again.

    Only pairs of at least `_floor` places are known, with their exact counts and where they were
    when they first occurred. When none is left the words are looked through for rarer ones.
    """

    def __init__(self, tables: Iterable[str | Path]) -> None:
        self._words = _Words(tables)
        self._texts: dict[int, str] = {}  # characters, and so cells, of merged symbols
        self._counts: dict[int, int] = {}  # of the known pairs, by key
        self._places: dict[int, _Ints] = {}
        self._heap: list[tuple[int, _Last, int]] = []  # (-count, strings, key); counts may be old
        self._floor = sys.maxsize
        self.words = self._words.number

    def merges(self, most: int) -> Iterator[tuple[str, str]]:
        """Up to `most` merges."""
        for number in range(most):
            while (key := self._most_frequent()) is None:
                if self._floor == _LEAST:  # no pair is left that occurs twice
                    return
                self._look_through()
            yield self._strings(key)
            self._merge(key, _MERGED + number)

    def _text(self, symbol: int) -> str:
        return self._texts.get(symbol) or chr(symbol & ~_FINAL)

    def _strings(self, key: int) -> tuple[str, str]:
        """A pair as subword-nmt names it."""
        first, second = key >> 32, key & _SYMBOL  # the first of two does not end a word
        return self._text(first), self._text(second) + ("</w>" if second & _FINAL else "")

    def _most_frequent(self) -> int | None:
        while self._heap:
            count, strings, key = self._heap[0]
            now = self._counts.get(key, 0)
            if now == -count:
                return key
            if now:  # counts only fall, so the heap's are never too low
                heapq.heapreplace(self._heap, (-now, strings, key))
            else:
                heapq.heappop(self._heap)
        return None

    def _look_through(self) -> None:
        """Lower the floor, and find all pairs that reach it: few, as their places are held."""
        bounds = np.zeros(1 << _BUCKET_BITS, dtype=np.int64)  # counts of pairs that share a bucket
        for keys, places in self._words.pairs():
            np.add.at(bounds, _buckets(keys), self._words.counts(places))
        self._floor = max(_LEAST, min(self._floor, int(bounds.max())) * 3 // 4)
        for known in (self._counts, self._places, self._heap):
            known.clear()
        found: list[list[_Ints]] = [[], []]
        for part in self._words.pairs():
            chosen = bounds[_buckets(part[0])] >= self._floor
            for kind, values in zip(found, part, strict=True):
                kind.append(values[chosen])
        self._learn_of(np.concatenate(found.pop(0)), np.concatenate(found.pop()))

    def _learn_of(self, keys: _Ints, places: _Ints) -> None:
        """Remember those of some new pairs that reach the floor."""
        if not len(keys):
            return
        order, starts, counts = _group(keys, self._words.counts(places))
        ends = np.append(starts[1:], len(order))
        for i in np.flatnonzero(counts >= self._floor).tolist():
            chosen = order[starts[i] : ends[i]]
            key, count = int(keys[chosen[0]]), int(counts[i])
            self._counts[key], self._places[key] = count, places[chosen]
            heapq.heappush(self._heap, (-count, _Last(self._strings(key)), key))

    def _merge(self, key: int, symbol: int) -> None:
        """Merge a pair wherever it is, and count what that takes away and what it brings."""
        first, second = key >> 32, key & _SYMBOL
        symbol |= second & _FINAL
        self._texts[symbol] = self._text(first) + self._text(second)
        width, both = len(self._text(first)), len(self._text(symbol))
        cells, at = self._words.cells, self._places.pop(key)
        del self._counts[key]
        at = at[(cells[at] == first) & (cells[at + width] == second)]
        if first == second:
            at = _every_other(at, width)
        # The pairs to the left of every place, and to the right unless they are left of the next.
        begins = self._words.before(at)
        left = cells[begins] & _FINAL == 0
        right = np.append(np.diff(at) != both, True) & (not second & _FINAL)
        follow = at[right] + both
        gone = np.concatenate([_keys(cells[begins[left]], first), _keys(second, cells[follow])])
        cells[at + width] = -1
        cells[at] = symbol
        cells[at + both - 1] = 1 - both
        self._forget(gone, np.concatenate([at[left], at[right]]))
        begins = self._words.before(at[left])
        new = np.concatenate([_keys(cells[begins], symbol), _keys(symbol, cells[follow])])
        self._learn_of(new, np.concatenate([begins, at[right]]))

    def _forget(self, keys: _Ints, places: _Ints) -> None:
        """Count some pairs less; those below the floor are found again when it has fallen."""
        if not len(keys):
            return
        order, starts, counts = _group(keys, self._words.counts(places))
        for key, count in zip(keys[order[starts]].tolist(), counts.tolist(), strict=True):
            if key in self._counts:
                self._counts[key] -= count
                if self._counts[key] < self._floor:
                    del self._counts[key], self._places[key]


def _keys(first: Any, second: Any) -> _Ints:
    """Keys of pairs of symbols; one of the two may be a single symbol."""
    return np.asarray(first, dtype=np.int64) << 32 | second


def _buckets(keys: _Ints) -> _Ints:
    mixed = keys.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio
    return (mixed >> np.uint64(64 - _BUCKET_BITS)).astype(np.int64)


def _group(keys: _Ints, counts: _Ints) -> tuple[_Ints, _Ints, _Ints]:
    """The order that groups equal keys, where the groups start in it, and each group's sum."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    return order, starts, np.add.reduceat(counts[order], starts)


def _every_other(at: _Ints, width: int) -> _Ints:
    """Of places that overlap, `a a` in `a a a`, those that are merged from left to right."""
    numbers = np.arange(len(at))
    begins = np.where(np.append(True, np.diff(at) != width), numbers, 0)
    return at[(numbers - np.maximum.accumulate(begins)) % 2 == 0]
