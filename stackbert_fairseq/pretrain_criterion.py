"""Masked-token plus next-sentence loss (paper, section 5.1; weights as in its code)."""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from torch import Tensor

from stackbert_fairseq.model import StackBert


@register_criterion("stackbert_pretrain", dataclass=FairseqDataclass)
class PretrainCriterion(FairseqCriterion):
    """MLM sum + NSP sum x (masked tokens / sentences); the trainer divides by masked tokens."""

    def forward(
        self, model: StackBert, sample: dict[str, Any], reduce: bool = True
    ) -> tuple[Tensor, int, dict[str, Any]]:
        """Loss, number of masked tokens, and sums for logging (nats)."""
        encoder = model.encoder
        sentences, masked = sample["nsentences"], len(sample["targets"])
        with model.autocast():
            states = model(**sample["net_input"])
            follows = encoder.nsp_logits(states[:sentences]).float()
            logits = encoder.mlm_logits(states[sentences:]).float()
        mlm = F.cross_entropy(logits, sample["targets"], reduction="sum")
        nsp = F.binary_cross_entropy_with_logits(
            follows, sample["follows"].float(), reduction="sum"
        )
        loss = mlm + nsp * (masked / sentences)
        return (
            loss,
            masked,
            {
                "loss": loss.detach(),
                "mlm": mlm.detach(),
                "nsp": nsp.detach(),
                "nsp_correct": ((follows > 0) == sample["follows"]).sum(),
                "ntokens": sample["ntokens"],
                "nsentences": sentences,
                "sample_size": masked,
            },
        )

    @staticmethod
    def reduce_metrics(logging_outputs: Sequence[dict[str, Any]]) -> None:
        """Log nats per masked token (`mlm_loss`), per sentence pair (`nsp_loss`) and accuracy.

        Not rounded: a rounded tensor would be waited for at every update, not at every line.
        """
        total = {key: sum(log[key] for log in logging_outputs) for key in logging_outputs[0]}
        masked, sentences = total["sample_size"], total["nsentences"]
        metrics.log_scalar("loss", total["loss"] / masked, masked)
        metrics.log_scalar("mlm_loss", total["mlm"] / masked, masked)
        metrics.log_scalar("nsp_loss", total["nsp"] / sentences, sentences)
        metrics.log_scalar("nsp_accuracy", total["nsp_correct"] / sentences, sentences)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """Every entry is a sum."""
        return True
