"""Step 10: fairseq-preprocess turns the BPE text into a dictionary and binarized data."""

import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from stackbert.errors import UserError
from stackbert.text.files import concatenate, read_json, replacing, write_json

PRODUCTS = ("dict.txt", "train.bin", "train.idx", "valid.bin", "valid.idx")
_UNKNOWN = 3  # fairseq's index of <unk>
_SPECIALS = 5  # <cls> <pad> </s> <unk> <mask>, which the file does not list


def binarize(
    train: Sequence[str],
    valid: Sequence[str],
    folder: str | Path,
    counts_path: str | Path,
    vocab_size: int,
    workers: int = 1,
    log: str | Path | None = None,
) -> dict[str, int]:
    """Make the five files of `PRODUCTS` in `folder` from the shards' BPE text.

    fairseq's own log is moved to `log`, so that the folder holds nothing else.

    The dictionary has at most `vocab_size` entries together with <mask>, which is added when it is
    loaded; an empty line becomes an item of only </s>, the boundary of two documents.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with _empty_folder(folder.parent / ".binarize") as work:
        for name, parts in (("train.txt", train), ("valid.txt", valid)):
            with open(Path(work, name), "wb") as file:
                concatenate(list(parts), file)
            if not os.path.getsize(Path(work, name)):
                raise UserError(
                    f"no text is left for {name.removesuffix('.txt')}ing data after tokenization. "
                    "Give a bigger dump (corpus.dump)."
                )
        made = Path(work, "bin")
        _preprocess(work, made, vocab_size, workers)
        if log:
            shutil.copyfile(made / "preprocess.log", log)
        counts = {
            f"{part}_{name}": value
            for part in ("train", "valid")
            for name, value in _measure(made / part).items()
        }
        counts["dictionary"] = _SPECIALS + (made / "dict.txt").read_bytes().count(b"\n")
        for name in PRODUCTS:
            os.replace(made / name, folder / name)
    write_json(counts_path, counts)
    return counts


@contextmanager
def _empty_folder(path: Path) -> Iterator[str]:
    """A folder to work in, cleared of what a killed run may have left, and removed at the end."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    try:
        yield str(path)
    finally:
        shutil.rmtree(path)


def _preprocess(work: str, made: Path, vocab_size: int, workers: int) -> None:
    """Run fairseq-preprocess in this process; its log goes to a file in `made` only."""
    logging.getLogger("fairseq").setLevel(logging.WARNING)
    from fairseq import options
    from fairseq_cli import preprocess

    from stackbert.text import dictionary

    preprocess.logger.propagate = False
    preprocess.logger.setLevel(logging.INFO)
    arguments = ["--task", dictionary.TASK, "--only-source", "--trainpref", f"{work}/train.txt"]
    arguments += ["--validpref", f"{work}/valid.txt", "--destdir", str(made)]
    # one less than vocab_size: <mask> comes on top
    arguments += ["--nwordssrc", str(vocab_size - 1), "--padding-factor", "1"]
    arguments += ["--workers", str(workers)]
    preprocess.main(options.get_preprocessing_parser().parse_args(arguments))
    for handler in list(preprocess.logger.handlers):
        if isinstance(handler, logging.FileHandler):  # it would hold the deleted log open
            preprocess.logger.removeHandler(handler)
            handler.close()


def _measure(prefix: Path) -> dict[str, int]:
    """Items, tokens (</s> included) and unknown tokens of one binarized part."""
    from fairseq.data.indexed_dataset import MMapIndexedDataset

    data = MMapIndexedDataset(str(prefix))
    tokens = np.memmap(f"{prefix}.bin", dtype=data._index.dtype, mode="r")
    unknown = int(np.count_nonzero(tokens == _UNKNOWN))
    return {"items": len(data), "tokens": len(tokens), "unknown": unknown}


def tabulate(steps: Mapping[str, Sequence[str]], table: str | Path) -> None:
    """Sum each step's counters over its shards into a TSV table `step counter value`."""
    with replacing(table) as file:
        file.write("step\tcounter\tvalue\n")
        for step, paths in steps.items():
            sums: dict[str, float] = {}
            for path in paths:
                for counter, value in read_json(path).items():
                    sums[counter] = sums.get(counter, 0) + value
            if step == "binarize":
                unknown, tokens = (
                    sum(sums[f"{part}_{name}"] for part in ("train", "valid"))
                    for name in ("unknown", "tokens")
                )
                sums["unknown_rate"] = round(unknown / tokens, 8)
            file.writelines(f"{step}\t{name}\t{value}\n" for name, value in sums.items())
