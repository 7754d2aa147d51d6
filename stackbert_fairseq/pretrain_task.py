"""The fairseq task that pre-trains with MLM + NSP on `fairseq-preprocess --only-source` data."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fairseq.data import Dictionary, data_utils
from fairseq.dataclass import FairseqDataclass
from fairseq.tasks import FairseqTask, register_task
from omegaconf import II
from torch import Tensor

from stackbert.errors import UserError, sync
from stackbert.fairseq_cli import DIVERGED
from stackbert_fairseq.curve import Curve
from stackbert_fairseq.growing import Growing
from stackbert_fairseq.live import Live
from stackbert_fairseq.masking import Masker
from stackbert_fairseq.pairs import load_dictionary
from stackbert_fairseq.pretrain_dataset import NextSentenceDataset
from stackbert_fairseq.saving import Saving

EXPLODED = 5  # times the loss of guessing at random, ln(types): no training comes back from there


@dataclass
class PretrainConfig(FairseqDataclass):
    data: str = field(default="", metadata={"help": "folder of the binarized text"})
    max_positions: int = field(default=384, metadata={"help": "most tokens of an example"})
    mask_probability: float = field(default=0.15, metadata={"help": "share of masked tokens"})
    valid_seed: int = field(default=1, metadata={"help": "seed of the fixed validation set"})
    curve: str = field(default="curve.tsv", metadata={"help": "table of the loss curve"})
    save_minutes: float = field(default=0.0, metadata={"help": "save so often; 0: at updates only"})
    tensorboard: str = field(default="", metadata={"help": "folder for TensorBoard; empty: none"})
    updates_before: int = field(default=0, metadata={"help": "updates of the stages before"})
    grown: str = field(default="", metadata={"help": "grown weights that the stage began with"})
    mask_updates: int = field(default=0, metadata={"help": "updates until new layers count fully"})
    freeze_updates: int = field(default=0, metadata={"help": "updates of the new layers alone"})
    until_drop: float = field(
        default=0.0, metadata={"help": "stop when the loss falls by less per update; 0: do not"}
    )
    log_interval: int = II("common.log_interval")
    seed: int = II("common.seed")
    rank: int = II("distributed_training.distributed_rank")


@register_task("stackbert_pretrain", dataclass=PretrainConfig)
class PretrainTask(FairseqTask):
    """Sentence pairs, masks drawn per epoch, and the curve of the stage."""

    def __init__(self, cfg: PretrainConfig, dictionary: Dictionary) -> None:
        super().__init__(cfg)
        self.dictionary = dictionary
        self.first = cfg.rank == 0
        self.curve = Curve(cfg.curve)
        self.saving = Saving(cfg.save_minutes)
        self.growing = Growing(cfg.grown, cfg.mask_updates, cfg.freeze_updates)
        shown = self.first and cfg.tensorboard
        self.live = Live(cfg.tensorboard, cfg.updates_before) if shown else None
        self.update: int | None = None  # updates done; None until the first step of this process
        self.unchecked: list[tuple[int, Tensor]] = []  # updates and their losses, on the device

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
        """One batch of an update; its log carries this process's wishes to save and to stop."""
        if self.update is None:
            self.saving.listen()
            self.growing.begin(model, optimizer, update_num)
        self.growing.step(model, update_num)
        self.update, self.rate = update_num + 1, optimizer.get_lr()
        loss, size, log = super().train_step(
            sample, model, criterion, optimizer, update_num, **kwargs
        )
        return loss, size, log | self.saving.wishes(self.first)

    def begin_valid_epoch(self, epoch: int, model: Any) -> None:
        """Validation is not training time."""
        self.curve.pause()

    def reduce_metrics(self, logging_outputs: Sequence[dict[str, Any]], criterion: Any) -> None:
        """Log, and count what was trained on."""
        super().reduce_metrics(logging_outputs, criterion)
        if criterion.training:
            total = {
                key: sum(log[key] for log in logging_outputs)
                for key in ("ntokens", "mlm", "sample_size", "save", "stop")
            }
            self.unchecked.append((self.update or 0, total["mlm"] / total["sample_size"]))
            if (self.update or 0) % self.cfg.log_interval == 0:
                self._check()
            self.saving.decide(total["save"], total["stop"])
            self.curve.add(int(total["ntokens"]), total["mlm"], int(total["sample_size"]))

    def _check(self) -> None:
        """Stop at a loss (nats per masked token) that no healthy training shows.

        Reading a loss waits for the device, so it is done for a whole interval of the log.
        """
        limit = EXPLODED * math.log(len(self.dictionary))
        losses, self.unchecked = self.unchecked, []
        for update, loss in losses:
            if not float(loss) < limit:
                raise UserError(
                    f"{DIVERGED} {float(loss):.4g} nats at update {update}, over {limit:.0f}"
                )

    def post_validate(self, model: Any, stats: dict[str, Any], agg: Any) -> None:
        """Add a point to the curve."""
        if self.update is not None:
            # weights that the last update spoilt show here first
            self.unchecked.append((self.update + 1, stats["mlm_loss"]))
            self._check()
            loss = round(float(stats["mlm_loss"]), 4)
            self.curve.point(self.update, loss, write=self.first)
            if self.live:
                self.live.add(self.curve.rows[-1], self.rate)
            if self.cfg.until_drop and self.curve.is_flat(self.cfg.until_drop):
                self.saving.finish()

    def get_checkpoint_dict(self) -> dict[str, Any]:
        """The curve so far, which a checkpoint keeps in its extra state under the task's name."""
        self._check()
        return {type(self).__name__: self.curve.state()}

    def set_checkpoint_dict(self, state: dict[str, Any]) -> None:
        """Take up the curve; fairseq calls it when it continues, not when a stage begins."""
        self.curve.load(state)

    def post_save(self, path: str, update: int) -> None:
        """Have the checkpoint on the disk before the next one replaces its forerunner."""
        sync(path)
        self.saving.done()

    @property
    def source_dictionary(self) -> Dictionary:
        """The dictionary of dict.txt and `<mask>`."""
        return self.dictionary

    @property
    def target_dictionary(self) -> Dictionary:
        """The same."""
        return self.dictionary
