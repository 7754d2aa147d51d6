"""The fairseq task that pre-trains with MLM + NSP on `fairseq-preprocess --only-source` data."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fairseq.data import Dictionary, data_utils
from fairseq.dataclass import FairseqDataclass
from fairseq.tasks import FairseqTask, register_task
from omegaconf import II
from torch import Tensor

from stackbert.errors import UserError
from stackbert_fairseq.curve import Curve
from stackbert_fairseq.masking import Masker
from stackbert_fairseq.pairs import load_dictionary
from stackbert_fairseq.pretrain_dataset import NextSentenceDataset


@dataclass
class PretrainConfig(FairseqDataclass):
    data: str = field(default="", metadata={"help": "folder of the binarized text"})
    max_positions: int = field(default=384, metadata={"help": "most tokens of an example"})
    mask_probability: float = field(default=0.15, metadata={"help": "share of masked tokens"})
    valid_seed: int = field(default=1, metadata={"help": "seed of the fixed validation set"})
    curve: str = field(default="curve.tsv", metadata={"help": "table of the loss curve"})
    seed: int = II("common.seed")


@register_task("stackbert_pretrain", dataclass=PretrainConfig)
class PretrainTask(FairseqTask):
    """Sentence pairs, masks drawn per epoch, and the curve of the stage."""

    def __init__(self, cfg: PretrainConfig, dictionary: Dictionary) -> None:
        super().__init__(cfg)
        self.dictionary = dictionary
        self.curve = Curve(cfg.curve)
        self.update: int | None = None  # updates done; None until the first step of this process

    @classmethod
    def setup_task(cls, cfg: PretrainConfig, **_: Any) -> "PretrainTask":
        """Read the dictionary beside the data."""
        return cls(cfg, load_dictionary(os.path.join(cfg.data, "dict.txt")))

    def load_dataset(self, split: str, **_: Any) -> None:
        """Load `train` or `valid`; the latter's pairs and masks are the same in every run."""
        path = os.path.join(self.cfg.data, split)
        lines = data_utils.load_indexed_dataset(path, self.dictionary)
        if lines is None:
            raise UserError(f"{path}.bin is missing: run `snakemake data` first")
        self.datasets[split] = NextSentenceDataset(
            lines,
            self.dictionary,
            Masker(self.dictionary, self.cfg.mask_probability),
            self.cfg.max_positions,
            self.cfg.seed if split == "train" else self.cfg.valid_seed,
        )

    def train_step(
        self,
        sample: Any,
        model: Any,
        criterion: Any,
        optimizer: Any,
        update_num: int,
        **kwargs: Any,
    ) -> tuple[Tensor, int, dict[str, Any]]:
        """One batch of an update; the first one of a process takes up the curve."""
        if self.update is None:
            self.curve.resume(update_num)
        self.update = update_num + 1
        return super().train_step(sample, model, criterion, optimizer, update_num, **kwargs)

    def begin_valid_epoch(self, epoch: int, model: Any) -> None:
        """Validation is not training time."""
        self.curve.pause()

    def reduce_metrics(self, logging_outputs: Sequence[dict[str, Any]], criterion: Any) -> None:
        """Log, and count what was trained on."""
        super().reduce_metrics(logging_outputs, criterion)
        if criterion.training:
            total = {
                key: sum(log[key] for log in logging_outputs)
                for key in ("ntokens", "mlm", "sample_size")
            }
            self.curve.add(int(total["ntokens"]), total["mlm"], int(total["sample_size"]))

    def post_validate(self, model: Any, stats: dict[str, Any], agg: Any) -> None:
        """Add a point to the curve."""
        if self.update is not None:
            self.curve.point(self.update, float(stats["mlm_loss"]))

    @property
    def source_dictionary(self) -> Dictionary:
        """The dictionary of dict.txt and `<mask>`."""
        return self.dictionary

    @property
    def target_dictionary(self) -> Dictionary:
        """The same."""
        return self.dictionary
