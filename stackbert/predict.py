"""Answers of trained models on raw text: a task's predictions, and words for `<mask>`.

Symbols: b batch, n positions, o outputs of the classifier.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from stackbert.errors import UserError
from stackbert.glue.predictions import as_labels
from stackbert.glue.tasks import Task
from stackbert.pairs import collate_pairs
from stackbert.text.pipeline import TextPipeline
from stackbert.trained import device, load, pretrained_checkpoint, task_checkpoint
from stackbert.vocabulary import MASK, Vocabulary, masked_pieces

BATCH = 64
Ids = NDArray[np.int64]


class Reader:
    """Raw text -> ids, with the merges and the dictionary of a run."""

    def __init__(self, results: str | Path) -> None:
        for path in (
            codes := Path(results, "bpe", "codes"),
            words := Path(results, "bin/dict.txt"),
        ):
            if not path.is_file():
                raise UserError(
                    f"{path} is missing: run `snakemake --cores all data` first, or give another "
                    "folder with --results"
                )
        self.encode, self.vocabulary = TextPipeline(codes).encode, Vocabulary(words)

    def ids(self, text: str | bytes) -> Ids:
        """Ids [n] of a text without special symbols."""
        return self._ids(self.encode(text).split())

    def masked_ids(self, text: str) -> Ids:
        """Ids [n] of a text in which `<mask>` stands for words."""
        return self._ids(masked_pieces(self.encode, text))

    def _ids(self, pieces: list[str]) -> Ids:
        return np.array([self.vocabulary.index(piece) for piece in pieces], dtype=np.int64)


class Predictor:
    """A fine-tuned model that answers as it does on the dev set."""

    def __init__(
        self, task: Task, results: str | Path, recipe: str | None = None, seed: int | None = None
    ) -> None:
        self.task, self.device = task, device()
        model = load(task_checkpoint(results, task, recipe, seed), fine_tuned=True)
        self.reader = Reader(results)
        self.encoder = model.encoder().to(self.device)
        self.classifier = model.classifier().to(self.device)

    def answers(self, lines: Iterable[bytes], batch: int = BATCH) -> Iterator[str]:
        """A label or score for each line, `batch` at a time; a tab parts the texts of a pair."""
        examples = (self._example(number, line) for number, line in enumerate(lines, 1))
        while pairs := list(islice(examples, batch)):
            yield from as_labels(self.task, self.outputs(pairs))

    def _example(self, number: int, line: bytes) -> tuple[Ids, Ids | None]:
        texts = line.rstrip(b"\r\n").split(b"\t")
        wanted = 2 if self.task.pair else 1
        if len(texts) != wanted or not all(text.strip() for text in texts):
            form = "two texts parted by a tab" if self.task.pair else "one text without a tab"
            raise UserError(f"line {number} of the input: {self.task.name} needs {form}; mend it")
        ids = [self.reader.ids(text) for text in texts]
        return ids[0], ids[1] if self.task.pair else None

    def outputs(self, pairs: list[tuple[Ids, Ids | None]]) -> NDArray[np.float32]:
        """[b, o]; a symmetric task's are averaged over both orders of the pairs."""
        outputs = self._forward(pairs)
        if self.task.symmetric:
            outputs = (outputs + self._forward([(b, a) for a, b in pairs if b is not None])) / 2
        return outputs.cpu().numpy()

    @torch.inference_mode()
    def _forward(self, pairs: list[tuple[Ids, Ids | None]]) -> torch.Tensor:
        laid = collate_pairs(pairs, self.reader.vocabulary, self.encoder.config.max_positions)
        tokens, segments = (
            torch.from_numpy(laid[key]).to(self.device) for key in ("tokens", "segments")
        )
        rows = torch.arange(len(pairs), device=self.device) * tokens.shape[1]
        return self.classifier(self.encoder.encode(tokens, segments, rows))


class MaskFiller:
    """A pre-trained model that proposes words for `<mask>`."""

    def __init__(self, results: str | Path, recipe: str | None = None) -> None:
        self.device = device()
        self.encoder = load(pretrained_checkpoint(results, recipe)).encoder().to(self.device)
        self.reader = Reader(results)

    @torch.inference_mode()
    def fill(self, text: str, top: int) -> list[list[tuple[str, float]]]:
        """For each `<mask>` of `text` the `top` likeliest symbols with their probabilities."""
        if MASK not in text:
            raise UserError(f"the text has no {MASK}: write {MASK} where a word is to be guessed")
        vocabulary, longest = self.reader.vocabulary, self.encoder.config.max_positions
        ids = self.reader.masked_ids(text)
        laid = collate_pairs([(ids, None)], vocabulary, longest)
        tokens = torch.from_numpy(laid["tokens"]).to(self.device)
        segments = torch.from_numpy(laid["segments"]).to(self.device)
        rows = (tokens[0] == vocabulary.mask()).nonzero().squeeze(1)
        if len(rows) < text.count(MASK):
            raise UserError(
                f"the text has {len(ids)} tokens and the model {longest} positions, so a {MASK} is "
                "cut off: give a shorter text"
            )
        logits = self.encoder.mlm_logits(self.encoder.encode(tokens, segments, rows))
        shares, found = logits.softmax(dim=1).topk(min(top, len(vocabulary)))
        return [
            [(vocabulary.symbols[i], p) for i, p in zip(*row, strict=True)]
            for row in zip(found.tolist(), shares.tolist(), strict=True)
        ]
