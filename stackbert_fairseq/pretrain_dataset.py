"""Sentence pairs for MLM + NSP, drawn anew each epoch from lines of binarized text.

Symbols: b batch, T tokens of a batch, m masked tokens.
"""

from typing import Any

import numpy as np
import torch
from fairseq.data import Dictionary, FairseqDataset

from stackbert.errors import UserError
from stackbert.pairs import SPECIALS, pack_pairs, query_slots, truncated_lengths
from stackbert_fairseq.masking import Masker


class NextSentenceDataset(FairseqDataset):
    """Pairs (A, B): B is A's next line with probability 1/2, otherwise the next line of another.

    `lines` is a dataset of token ids, each ending in `</s>`; a line of `</s>` alone parts
    documents. Every line with a next line in its document is A once per epoch. All draws come
    from `seed` and the epoch, so that a resumed run sees what an uninterrupted one does.
    """

    def __init__(
        self, lines: Any, dictionary: Dictionary, masker: Masker, max_positions: int, seed: int
    ) -> None:
        self.lines, self.dictionary, self.masker = lines, dictionary, masker
        self.room, self.max_positions, self.seed = max_positions - SPECIALS, max_positions, seed
        self.line_sizes = np.asarray(lines.sizes) - 1  # without </s>
        followed = (self.line_sizes[:-1] > 0) & (self.line_sizes[1:] > 0)
        self.first = np.flatnonzero(followed)
        if len(self.first) < 2:
            raise UserError(
                f"the binarized text has {len(self.first)} lines followed by another of the same "
                "document, at least 2 are needed for sentence pairs: give a larger corpus"
            )
        self.set_epoch(1)

    def set_epoch(self, epoch: int) -> None:
        """Draw the second sentences of an epoch."""
        self.epoch = epoch
        rng = np.random.default_rng([self.seed, epoch])
        self.follows = rng.random(len(self.first)) < 0.5
        # Another line: a shift by 1 .. count-1 never lands on the line itself.
        count = len(self.first)
        other = self.first[(np.arange(count) + rng.integers(1, count, count)) % count]
        self.second = np.where(self.follows, self.first, other) + 1
        a, b = truncated_lengths(
            self.line_sizes[self.first], self.line_sizes[self.second], self.room
        )
        self.sizes = a + b + SPECIALS

    can_reuse_epoch_itr_across_epochs = False  # the pairs and so the lengths change

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {
            "id": index,
            "a": self.lines[self.first[index]][:-1].numpy(),
            "b": self.lines[self.second[index]][:-1].numpy(),
            "follows": self.follows[index],
        }

    def collater(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        """A packed batch in order of length.

        The rows [b + m] are of the slots: first positions of the sequences, then masked ones.
        """
        if not samples:
            return {}
        samples = sorted(samples, key=lambda sample: self.sizes[sample["id"]])
        pairs = [(sample["a"], sample["b"]) for sample in samples]
        batch = pack_pairs(pairs, self.dictionary, self.max_positions)
        lengths = batch["lengths"]
        # A batch's masks depend on its first example, not on which worker collates it or when.
        rng = np.random.default_rng([self.seed, self.epoch, samples[0]["id"], len(samples)])
        tokens, masked, targets = self.masker(batch["tokens"], rng)
        asked = np.concatenate([lengths.cumsum() - lengths, masked])
        slots, rows, widths = query_slots(lengths, asked)
        return {
            "id": torch.tensor([sample["id"] for sample in samples]),
            "net_input": {
                "tokens": torch.from_numpy(tokens),
                "segments": torch.from_numpy(batch["segments"]),
                "positions": torch.from_numpy(batch["positions"]),
                "lengths": lengths.tolist(),
                "rows": torch.from_numpy(rows),
                "slots": torch.from_numpy(slots),
                "widths": widths.tolist(),
            },
            "targets": torch.from_numpy(targets),
            "follows": torch.tensor([bool(sample["follows"]) for sample in samples]),
            "ntokens": len(tokens),
            "nsentences": len(samples),
        }

    def num_tokens(self, index: int) -> int:
        """Tokens of one example, special symbols included."""
        return int(self.sizes[index])

    def num_tokens_vec(self, indices: np.ndarray) -> np.ndarray:
        """The same for many."""
        return self.sizes[indices]

    def size(self, index: int) -> int:
        """The same; what fairseq filters by."""
        return int(self.sizes[index])

    def ordered_indices(self) -> np.ndarray:
        """By length, ties at random (from fairseq's seed), so that batches need little padding."""
        return np.lexsort((np.random.permutation(len(self)), self.sizes))

    @property
    def supports_prefetch(self) -> bool:
        """Memory-mapped lines need none."""
        return False
