"""Byte pair encoding, step 8: words are counted, and the merges learnt from that applied."""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

from subword_nmt.apply_bpe import BPE

from stackbert.errors import UserError
from stackbert.text.files import open_lines, replacing

SEPARATOR = "@@"  # ends every piece of a word but its last
_END = "</w>"  # subword-nmt's mark of a word's end
_CACHE = 250_000  # words remembered at a time (some 40 MB), so that memory stays bounded


class WordTable:
    """Counts words into a file of lines `word count`, sorted by word, in bounded memory.

    Whenever too many different words are held they go to a sorted run on disk; at the end of the
    block the runs are merged into `path`, which appears whole or not at all.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._words: Counter[str] = Counter()
        self._runs: list[Path] = []

    def add(self, words: Iterable[str]) -> None:
        """Count some words."""
        self._words.update(words)
        if len(self._words) > _CACHE:
            self._runs.append(self._path.with_name(f"{self._path.name}.run{len(self._runs)}"))
            _write_sorted(self._words.items(), self._runs[-1])
            self._words.clear()

    def __enter__(self) -> "WordTable":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        try:
            if kind is None:
                parts = [_read_counts(run) for run in self._runs] + [sorted(self._words.items())]
                _write_sorted(_sums(parts), self._path, already=True)
        finally:
            for run in self._runs:
                run.unlink(missing_ok=True)


def _write_sorted(counts: Iterable[tuple[str, int]], path: Path, already: bool = False) -> None:
    with replacing(path) as file:
        file.writelines(f"{w} {count}\n" for w, count in (counts if already else sorted(counts)))


def _read_counts(path: Path) -> Iterator[tuple[str, int]]:
    with open_lines(path) as lines:
        for line in lines:
            word, count = line.split(" ")
            yield word, int(count)


def read_tables(tables: Iterable[str | Path]) -> Iterator[tuple[str, int]]:
    """The words of some tables in order, with the sums of their counts."""
    return _sums(map(_read_counts, tables))


def _sums(parts: Iterable[Iterable[tuple[str, int]]]) -> Iterator[tuple[str, int]]:
    for word, same in groupby(heapq.merge(*parts), key=itemgetter(0)):
        yield word, sum(count for _, count in same)


class Encoder:
    """Applies learnt merges to tokenized lines."""

    def __init__(self, codes: str | Path) -> None:
        try:
            with open(codes, encoding="utf-8") as file:
                bpe = BPE(file)
        except FileNotFoundError:
            raise UserError(
                f"{codes}: no such file of BPE merges. Run the rule learn_bpe."
            ) from None
        self._pieces = _Pieces(bpe.bpe_codes)

    def __call__(self, line: str) -> str:
        """`the colourless` -> `the colour@@ less`."""
        return " ".join(map(self._pieces.__getitem__, line.split()))


class _Pieces(dict[str, str]):
    """Word -> its pieces in one string; remembers the words it has seen, up to a bound."""

    def __init__(self, ranks: dict[tuple[str, str], int]) -> None:
        super().__init__()
        self._ranks = ranks

    def __missing__(self, word: str) -> str:
        if len(self) >= _CACHE:
            self.clear()
        self[word] = joined = f"{SEPARATOR} ".join(_segment(word, self._ranks))
        return joined


def _segment(word: str, ranks: dict[tuple[str, str], int]) -> list[str]:
    """What subword-nmt makes of a word, some four times faster; its own cache has no bound.

    The pair of the lowest rank is merged, the first of several; a new pair has a higher rank, as
    its merge was learnt later, so that one at a time comes to the same as all at once.
    """
    pieces = [*word[:-1], word[-1] + _END]
    never = len(ranks)
    rank = [ranks.get(pair, never) for pair in pairwise(pieces)]
    while rank and (lowest := min(rank)) < never:
        i = rank.index(lowest)
        pieces[i : i + 2] = [pieces[i] + pieces[i + 1]]
        del rank[i]
        if i:
            rank[i - 1] = ranks.get((pieces[i - 1], pieces[i]), never)
        if i < len(rank):
            rank[i] = ranks.get((pieces[i], pieces[i + 1]), never)
    pieces[-1] = pieces[-1][: -len(_END)]
    return pieces
