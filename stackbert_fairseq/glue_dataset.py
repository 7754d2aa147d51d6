"""A GLUE split as a fairseq dataset: pairs of id arrays, batches of similar length.

Symbols: b batch, n positions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from fairseq.data import Dictionary, FairseqDataset
from numpy.typing import NDArray

from stackbert.glue.tasks import Task
from stackbert.pairs import SPECIALS, collate_pairs, truncated_lengths

Batch = dict[str, Any]
POOL = 50  # batches that are drawn at random together and then sorted by length


class GlueDataset(FairseqDataset):
    """Examples of one prepared split.

    In training, batches hold examples of similar length and, for a symmetric task, each pair's
    order is drawn anew per epoch from `seed`. In evaluation (no seed), a symmetric task's batch
    also has `swapped`, the pairs in the other order. Batches carry the name of their `subset`.
    """

    def __init__(
        self,
        rows: Sequence[Mapping[str, str]],
        task: Task,
        dictionary: Dictionary,
        max_positions: int,
        batch: int,
        subset: str = "",
        seed: int | None = None,
    ) -> None:
        self.task, self.dictionary, self.max_positions = task, dictionary, max_positions
        self.batch, self.subset, self.seed = batch, subset, seed
        self.first = [self._ids(row["first"]) for row in rows]
        self.second = [self._ids(row["second"]) if task.pair else None for row in rows]
        self.indices = [row["index"] for row in rows]
        self.labels = [row["label"] for row in rows]
        a = np.array([len(ids) for ids in self.first], dtype=np.int64)
        b = np.array([len(ids) if ids is not None else 0 for ids in self.second], dtype=np.int64)
        specials = SPECIALS if task.pair else SPECIALS - 1
        a, b = truncated_lengths(a, b, max_positions - SPECIALS)
        self.sizes = a + b + specials
        self.set_epoch(1)

    can_reuse_epoch_itr_across_epochs = False  # batches are drawn anew

    def _ids(self, text: str) -> NDArray[np.int64]:
        return np.array([self.dictionary.index(word) for word in text.split()], dtype=np.int64)

    @property
    def training(self) -> bool:
        """Whether orders are drawn; otherwise every order is evaluated."""
        return self.seed is not None

    def set_epoch(self, epoch: int) -> None:
        """Draw which pairs are swapped."""
        self.swap = np.zeros(len(self.first), dtype=bool)
        if self.seed is not None and self.task.symmetric:
            self.swap = np.random.default_rng([self.seed, epoch]).random(len(self.first)) < 0.5

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, index: int) -> int:
        return index

    def collater(self, samples: list[int]) -> Batch:
        """Batch: ids [b], tokens and segments [b, n], rows [b] (first positions), target [b]."""
        if not samples:
            return {}
        pairs = [(self.first[i], self.second[i]) for i in samples]
        reverse = [(b, a) for a, b in pairs]
        drawn = [r if self.swap[i] else p for i, p, r in zip(samples, pairs, reverse, strict=True)]
        batch = self._net_input(drawn)
        batch |= {"id": torch.tensor(samples), "nsentences": len(samples)}
        batch["subset"] = self.subset
        if not self.training and self.task.symmetric:
            batch["swapped"] = self._net_input(reverse)["net_input"]
        if self.labels[samples[0]]:
            batch["target"] = torch.tensor([self._target(self.labels[i]) for i in samples])
        return batch

    def _net_input(self, pairs: list[tuple[Any, Any]]) -> Batch:
        laid = collate_pairs(pairs, self.dictionary, self.max_positions)
        b, n = laid["tokens"].shape
        net_input = {
            "tokens": torch.from_numpy(laid["tokens"]),
            "segments": torch.from_numpy(laid["segments"]),
            "rows": torch.arange(b) * n,
        }
        return {"net_input": net_input, "ntokens": int(laid["lengths"].sum())}

    def _target(self, label: str) -> int | float:
        """Class, 0 or 1, or (score - 3) / 2, as the loss needs it."""
        if self.task.loss == "regression":
            return (float(label) - 3.0) / 2.0
        return self.task.labels.index(label)

    def num_tokens(self, index: int) -> int:
        """Tokens of one example, special symbols included."""
        return int(self.sizes[index])

    def num_tokens_vec(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """The same for many."""
        return self.sizes[indices]

    def size(self, index: int) -> int:
        """The same; what fairseq filters by."""
        return int(self.sizes[index])

    def ordered_indices(self) -> NDArray[np.int64]:
        """Evaluation: by length. Training: random pools, sorted by length within (little padding).

        fairseq seeds numpy with the run's seed and the epoch before it asks, and shuffles the
        batches afterwards.
        """
        if not self.training:
            return np.argsort(self.sizes, kind="stable")
        order = np.random.permutation(len(self))
        step = POOL * self.batch
        pools = [order[start : start + step] for start in range(0, len(order), step)]
        return np.concatenate([p[np.argsort(self.sizes[p], kind="stable")] for p in pools])

    @property
    def supports_prefetch(self) -> bool:
        """Everything is in memory."""
        return False
