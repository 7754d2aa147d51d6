"""The encoder as a fairseq model, with an optional classifier for fine-tuning."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.models import BaseFairseqModel, register_model
from fairseq.tasks import FairseqTask
from omegaconf import II
from torch import Tensor, nn

from stackbert.model import Encoder, ModelConfig


@dataclass
class StackBertConfig(FairseqDataclass):
    layers: int = field(default=12, metadata={"help": "number of layers"})
    width: int = field(default=768, metadata={"help": "width of the hidden states"})
    heads: int = field(default=12, metadata={"help": "attention heads"})
    feed_forward: int = field(default=3072, metadata={"help": "feed-forward width"})
    dropout: float = field(default=0.1, metadata={"help": "dropout"})
    attention_dropout: float = field(default=0.1, metadata={"help": "dropout of attention weights"})
    max_positions: int = II("task.max_positions")
    bf16_autocast: bool = field(default=False, metadata={"help": "products in bf16"})
    compile_layers: bool = field(default=False, metadata={"help": "torch.compile the layers"})
    activation_checkpointing: bool = field(
        default=False, metadata={"help": "compute layers again in the backward pass"}
    )


@register_model("stackbert", dataclass=StackBertConfig)
class StackBert(BaseFairseqModel):
    """fairseq's view of `stackbert.model.Encoder`.

    A task with an attribute `outputs` (number of logits) gets a `classifier` on the first position.
    """

    def __init__(self, encoder: Encoder, outputs: int = 0) -> None:
        super().__init__()
        self.encoder = encoder
        self.bf16_autocast = False
        self.classifier = nn.Linear(encoder.config.width, outputs) if outputs else None
        if self.classifier is not None:
            nn.init.zeros_(self.classifier.weight)
            nn.init.zeros_(self.classifier.bias)

    @classmethod
    def build_model(cls, cfg: StackBertConfig, task: FairseqTask) -> "StackBert":
        """Build the model for a task that has a dictionary."""
        config = ModelConfig(
            layers=cfg.layers,
            width=cfg.width,
            heads=cfg.heads,
            feed_forward=cfg.feed_forward,
            vocab_size=len(task.dictionary),
            max_positions=cfg.max_positions,
            dropout=cfg.dropout,
            attention_dropout=cfg.attention_dropout,
            padding=task.dictionary.pad(),
        )
        model = cls(Encoder(config), getattr(task, "outputs", 0))
        model.bf16_autocast = cfg.bf16_autocast
        model.encoder.activation_checkpointing = cfg.activation_checkpointing
        if cfg.compile_layers:
            for layer in model.encoder.layers:
                layer.compile_parts()
        return model

    def autocast(self) -> AbstractContextManager[None]:
        """Products in bf16 where asked for; else whatever fairseq has set (--amp) stays."""
        if not self.bf16_autocast:
            return nullcontext()
        return torch.autocast(self.encoder.tokens.weight.device.type, torch.bfloat16)

    def forward(
        self,
        tokens: Tensor,
        segments: Tensor,
        rows: Tensor,
        positions: Tensor | None = None,
        lengths: Sequence[int] = (),
        slots: Tensor | None = None,
        widths: Sequence[int] = (),
    ) -> Tensor:
        """Padded ids [b, n], or with `positions` packed ones [T] -> final states [r, d]."""
        if positions is None:
            return self.encoder.encode(tokens, segments, rows)
        packed = (tokens, segments, positions, lengths, rows, slots, widths)
        return self.encoder.encode_packed(*packed)

    def load_state_dict(self, state_dict: dict[str, Tensor], strict: bool = True, **_: Any) -> Any:
        """Fill every parameter; a classifier that the checkpoint lacks keeps its zeros."""
        state = dict(state_dict)
        if self.classifier is not None and "classifier.weight" not in state:
            state |= {f"classifier.{name}": p for name, p in self.classifier.state_dict().items()}
        return nn.Module.load_state_dict(self, state, strict=strict)

    def max_positions(self) -> int:
        """Most tokens of one example."""
        return self.encoder.config.max_positions
