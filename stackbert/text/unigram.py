"""The loss of guessing by the frequency of tokens alone, which training must beat."""

from pathlib import Path

import numpy as np

from stackbert.text.files import write_json

_FIRST = 4  # number of dict.txt's first entry; before it <cls> <pad> </s> <unk>


def unigram_loss(folder: str | Path) -> float:
    """Nats per ordinary token of the binarized validation text.

    Frequencies are the training text's counts in dict.txt, each raised by one: none is zero.
    """
    from fairseq.data.indexed_dataset import MMapIndexedDataset

    folder = Path(folder)
    lines = (folder / "dict.txt").read_text(encoding="utf-8").splitlines()
    counts = np.array([int(line.rpartition(" ")[2]) for line in lines], dtype=float) + 1
    dtype = MMapIndexedDataset(str(folder / "valid"))._index.dtype
    tokens = np.fromfile(folder / "valid.bin", dtype=dtype).astype(int) - _FIRST
    return float(-np.log(counts / counts.sum())[tokens[tokens >= 0]].mean())


def write_unigram(folder: str | Path, output: str | Path) -> None:
    """Write the loss as JSON: `unigram_loss`."""
    write_json(output, {"unigram_loss": round(unigram_loss(folder), 4)})
