"""Byte pair encoding, step 8: subword-nmt learns the merges from word counts and applies them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from subword_nmt.apply_bpe import BPE
from subword_nmt.learn_bpe import learn_bpe

from stackbert.errors import UserError
from stackbert.text.files import open_lines, replacing

SEPARATOR = "@@"  # ends every piece of a word but its last
_CACHE = 1_000_000  # words remembered by an encoder, so that its memory stays bounded


def write_counts(words: Counter[str], file: TextIO) -> None:
    """Word counts as lines `word count`, in the order of the words."""
    for word in sorted(words):
        file.write(f"{word} {words[word]}\n")


def learn(tables: Iterable[str | Path], codes: str | Path, merges: int) -> None:
    """Learn `merges` merges from tables of word counts (several tables count as their sum)."""
    with replacing(codes) as file:
        try:
            learn_bpe(_chain(tables), file, merges, is_dict=True)
        except ValueError:  # the maximum of no pair at all
            raise UserError(
                "no word of the corpus has two characters, so there is nothing to merge. Use "
                "another dump."
            ) from None


def _chain(tables: Iterable[str | Path]) -> Iterator[str]:
    for table in tables:
        with open_lines(table) as lines:
            yield from lines


class Encoder:
    """Applies learnt merges to tokenized lines; remembers the words it has seen."""

    def __init__(self, codes: str | Path) -> None:
        try:
            with open(codes, encoding="utf-8") as file:
                self._bpe = BPE(file, separator=SEPARATOR)
        except FileNotFoundError:
            raise UserError(
                f"{codes}: no such file of BPE merges. Run the rule learn_bpe."
            ) from None
        self._pieces: dict[str, str] = {}

    def __call__(self, line: str) -> str:
        """`the colourless` -> `the colour@@ less`."""
        return " ".join([self._pieces.get(word) or self._encode(word) for word in line.split()])

    def _encode(self, word: str) -> str:
        if len(self._pieces) >= _CACHE:
            self._pieces.clear()
            self._bpe.cache.clear()
        self._pieces[word] = pieces = self._bpe.segment(word)
        return pieces
