"""Losses of the GLUE tasks."""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from torch import Tensor

from stackbert_fairseq.model import StackBert


def classify(model: StackBert, net_input: dict[str, Tensor]) -> Tensor:
    """What the classifier gives for a batch: [b, outputs]."""
    if model.classifier is None:
        raise ValueError("the model was built for a task without outputs")
    return model.classifier(model(**net_input)).float()


@register_criterion("stackbert_glue", dataclass=FairseqDataclass)
class GlueCriterion(FairseqCriterion):
    """Cross-entropy of one logit, cross-entropy of classes, or squared error, by the task."""

    def forward(
        self, model: StackBert, sample: dict[str, Any], reduce: bool = True
    ) -> tuple[Tensor, int, dict[str, Any]]:
        """Summed loss, number of examples, and sums for logging (nats, or squared error)."""
        loss = self.loss(classify(model, sample["net_input"]), sample["target"])
        return loss, sample["nsentences"], self.log(loss, sample)

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Summed loss of outputs [b, o] against targets [b]."""
        kind = self.task.glue.loss
        if kind == "classes":
            return F.cross_entropy(outputs, target, reduction="sum")
        if kind == "binary":
            return F.binary_cross_entropy_with_logits(
                outputs.squeeze(1), target.float(), reduction="sum"
            )
        return F.mse_loss(outputs.squeeze(1), target.float(), reduction="sum")

    @staticmethod
    def log(loss: Tensor, sample: dict[str, Any]) -> dict[str, Any]:
        """What fairseq's trainer and its log need of a batch."""
        sentences = sample["nsentences"]
        return {
            "loss": loss.detach(),
            "ntokens": sample["ntokens"],
            "positions": sample["net_input"]["tokens"].numel(),
            "nsentences": sentences,
            "sample_size": sentences,
        }

    @staticmethod
    def reduce_metrics(logging_outputs: Sequence[dict[str, Any]]) -> None:
        """Log the loss per example and the share of padding."""
        total = {key: sum(log[key] for log in logging_outputs) for key in logging_outputs[0]}
        metrics.log_scalar(
            "loss", total["loss"] / total["sample_size"], total["sample_size"], round=4
        )
        padding = 1 - total["ntokens"] / total["positions"]
        metrics.log_scalar("padding", padding, total["positions"], round=4)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """Every entry is a sum."""
        return True
