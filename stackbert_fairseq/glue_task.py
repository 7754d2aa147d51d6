"""The fairseq task that fine-tunes on one GLUE task and writes predictions when it validates."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq.data import Dictionary
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from fairseq.tasks import FairseqTask, register_task
from omegaconf import II
from torch import Tensor

from stackbert.errors import write_atomic
from stackbert.glue.metrics import score
from stackbert.glue.predictions import as_labels, prediction_table
from stackbert.glue.prepare import read_prepared
from stackbert.glue.tasks import task as glue_task
from stackbert_fairseq.glue_criterion import classify
from stackbert_fairseq.glue_dataset import GlueDataset
from stackbert_fairseq.pairs import load_dictionary


@dataclass
class GlueTaskConfig(FairseqDataclass):
    data: str = field(default="", metadata={"help": "folder of the prepared tasks"})
    glue_task: str = field(default="", metadata={"help": "name of the task in the task table"})
    dictionary: str = field(default="dict.txt", metadata={"help": "dictionary of pre-training"})
    predictions: str = field(default="", metadata={"help": "folder that gets the predictions"})
    keep: str = field(default="last", metadata={"help": "predictions of the last or best epoch"})
    max_positions: int = field(default=384, metadata={"help": "most tokens of an example"})
    seed: int = II("common.seed")
    batch_size: int | None = II("dataset.batch_size")


@register_task("stackbert_glue", dataclass=GlueTaskConfig)
class GlueTask(FairseqTask):
    """One task of the table; the validation subsets are named TASK.SPLIT, its own dev set first.

    Subsets of other tasks (MNLI's mismatched half, the diagnostic set) and test sets without labels
    are predicted in the same way.
    """

    def __init__(self, cfg: GlueTaskConfig, dictionary: Dictionary) -> None:
        super().__init__(cfg)
        self.dictionary = dictionary
        self.glue = glue_task(cfg.glue_task)
        self.outputs = self.glue.outputs  # the model makes a classifier of this size
        self.collected: list[tuple[Tensor, Tensor]] = []
        self.subset = ""
        self.best = -np.inf
        self.keeping = True

    @classmethod
    def setup_task(cls, cfg: GlueTaskConfig, **_: Any) -> "GlueTask":
        """Read the dictionary of pre-training."""
        return cls(cfg, load_dictionary(cfg.dictionary))

    def load_dataset(self, split: str, **_: Any) -> None:
        """Load `train`, or a subset TASK.SPLIT for evaluation."""
        name, part = split.rpartition(".")[::2]
        rows = read_prepared(Path(self.cfg.data) / (name or self.glue.name) / f"{part}.tsv")
        self.datasets[split] = GlueDataset(
            rows,
            glue_task(name) if name else self.glue,
            self.dictionary,
            self.cfg.max_positions,
            self.cfg.batch_size or 1,
            subset=split,
            seed=None if name else self.cfg.seed,
        )

    def valid_step(
        self, sample: dict[str, Any], model: Any, criterion: Any
    ) -> tuple[Tensor, int, dict[str, Any]]:
        """Predict a batch; a symmetric task's outputs are averaged over both orders."""
        model.eval()
        with torch.no_grad():
            outputs = classify(model, sample["net_input"])
            if "swapped" in sample:
                outputs = (outputs + classify(model, sample["swapped"])) / 2
            labelled = "target" in sample
            loss = criterion.loss(outputs, sample["target"]) if labelled else outputs.new_zeros(())
        if sample["subset"] != self.subset:
            self.subset, self.collected = sample["subset"], []
        self.collected.append((sample["id"].cpu(), outputs.cpu()))
        return loss, sample["nsentences"], criterion.log(loss, sample)

    def reduce_metrics(self, logging_outputs: Sequence[dict[str, Any]], criterion: Any) -> None:
        """Log; a validation also has `score`, the task's first metric, by which `best` is told."""
        super().reduce_metrics(logging_outputs, criterion)
        if not criterion.training:
            metrics.log_derived("score", lambda _: self._scores().get(self.glue.metrics[0], 0.0))

    def post_validate(self, model: Any, stats: dict[str, Any], agg: Any) -> None:
        """Write the predictions of the subset that was just validated, if this epoch's are kept."""
        if self.subset == f"{self.glue.name}.dev":
            self.keeping = self.cfg.keep == "last" or stats["score"] >= self.best
            self.best = max(self.best, stats["score"])
        stats |= self._scores()
        if self.keeping:
            dataset = self.datasets[self.subset]
            table = prediction_table(dataset.indices, self._predicted(), dataset.labels)
            write_atomic(Path(self.cfg.predictions) / f"{self.subset}.tsv", table)
        self.collected = []

    def _predicted(self) -> list[str]:
        """Predictions in the order of the file."""
        ids = torch.cat([ids for ids, _ in self.collected])
        outputs = torch.cat([outputs for _, outputs in self.collected])
        return as_labels(self.datasets[self.subset].task, outputs[ids.argsort()].numpy())

    def _scores(self) -> dict[str, float]:
        dataset = self.datasets[self.subset]
        done = sum(len(ids) for ids, _ in self.collected)
        if done < len(dataset) or not all(dataset.labels):  # fairseq also asks half-way
            return {}
        task = dataset.task
        return score(task.metrics, self._predicted(), dataset.labels, *task.labels[-1:])

    @property
    def source_dictionary(self) -> Dictionary:
        """The dictionary of pre-training."""
        return self.dictionary

    @property
    def target_dictionary(self) -> Dictionary:
        """The same."""
        return self.dictionary

    def max_positions(self) -> int:
        """Most tokens of an example."""
        return self.cfg.max_positions
