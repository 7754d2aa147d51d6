"""The dictionary of pre-training, read without fairseq, whose import takes seconds."""

from collections.abc import Callable
from pathlib import Path

CLS, PAD, SEP, UNK, MASK = "<cls>", "<pad>", "</s>", "<unk>", "<mask>"


class Vocabulary:
    """Words of dict.txt after the first four special symbols, `<mask>` last (as in training)."""

    def __init__(self, path: str | Path) -> None:
        with open(path, encoding="utf-8", newline="\n") as file:
            words = [line.rpartition(" ")[0] for line in file]
        self.symbols = [CLS, PAD, SEP, UNK, *words, MASK]
        self.indices = {symbol: index for index, symbol in enumerate(self.symbols)}

    def __len__(self) -> int:
        return len(self.symbols)

    def index(self, symbol: str) -> int:
        """Id of a symbol, that of `<unk>` if it is not in the dictionary."""
        return self.indices.get(symbol, self.indices[UNK])

    def bos(self) -> int:
        """Id of `<cls>`."""
        return self.indices[CLS]

    def pad(self) -> int:
        """Id of `<pad>`."""
        return self.indices[PAD]

    def eos(self) -> int:
        """Id of `</s>`."""
        return self.indices[SEP]

    def mask(self) -> int:
        """Id of `<mask>`."""
        return self.indices[MASK]


def masked_pieces(encode: Callable[[str], str], text: str) -> list[str]:
    """Pieces of a raw text in which `<mask>` stands for a word; the text between goes to `encode`.

    The other special symbols are ordinary text, as they are in training.
    """
    first, *rest = text.split(MASK)
    pieces = encode(first).split()
    for part in rest:
        pieces += [MASK, *encode(part).split()]
    return pieces
