"""Byte pair encoding, step 8: subword-nmt learns the merges from word counts and applies them."""

import builtins
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO
from unittest.mock import patch

from subword_nmt import learn_bpe as subword_nmt
from subword_nmt.apply_bpe import BPE

from stackbert.errors import UserError
from stackbert.text.files import open_lines, replacing
from stackbert.text.progress import Progress

SEPARATOR = "@@"  # ends every piece of a word but its last
_CACHE = 1_000_000  # words remembered by an encoder, so that its memory stays bounded


def write_counts(words: Counter[str], file: TextIO) -> None:
    """Word counts as lines `word count`, in the order of the words."""
    for word in sorted(words):
        file.write(f"{word} {words[word]}\n")


def learn(tables: Iterable[str | Path], codes: str | Path, merges: int) -> None:
    """Learn `merges` merges from tables of word counts (several tables count as their sum)."""
    with (
        replacing(codes) as file,
        patch.object(subword_nmt, "max", _max, create=True),
        patch.object(subword_nmt, "tqdm", _counted),
    ):
        try:
            subword_nmt.learn_bpe(_chain(tables), file, merges, is_dict=True)
        except ValueError:  # the maximum of no pair at all
            raise UserError(
                "no word of the corpus has two characters, so there is nothing to merge. Use "
                "another dump."
            ) from None


def _max(items: Any, key: Callable[[Any], Any] | None = None) -> Any:
    """`max`, without a Python call per pair where learn_bpe looks for the most frequent one.

    Its order is by count, then by pair, so the answer is the greatest pair of the greatest count.
    """
    if key is None or not isinstance(items, dict):
        return builtins.max(items, key=key)
    most = builtins.max(items.values())
    return builtins.max([pair for pair, count in items.items() if count == most])


def _counted(merges: range) -> Iterator[int]:
    progress = Progress("learn_bpe", len(merges))
    for merge in merges:
        progress.add(1)
        yield merge


def _chain(tables: Iterable[str | Path]) -> Iterator[str]:
    for table in tables:
        with open_lines(table) as lines:
            yield from lines


class Encoder:
    """Applies learnt merges to tokenized lines."""

    def __init__(self, codes: str | Path) -> None:
        try:
            with open(codes, encoding="utf-8") as file:
                bpe = BPE(file, separator=SEPARATOR)
        except FileNotFoundError:
            raise UserError(
                f"{codes}: no such file of BPE merges. Run the rule learn_bpe."
            ) from None
        self._pieces = _Pieces(bpe)

    def __call__(self, line: str) -> str:
        """`the colourless` -> `the colour@@ less`."""
        return " ".join(map(self._pieces.__getitem__, line.split()))


class _Pieces(dict[str, str]):
    """Word -> its pieces in one string; remembers the words it has seen, up to a bound."""

    def __init__(self, bpe: BPE) -> None:
        super().__init__()
        self._bpe = bpe

    def __missing__(self, word: str) -> str:
        if len(self) >= _CACHE:
            self.clear()
        self._bpe.cache.clear()  # subword-nmt's own, without a bound
        self[word] = pieces = self._bpe.segment(word)
        return pieces
