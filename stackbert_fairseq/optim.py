"""PyTorch's fused AdamW and a piecewise linear learning rate, registered with fairseq."""

import json
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.optim import FairseqOptimizer, register_optimizer
from fairseq.optim.lr_scheduler import FairseqLRScheduler, register_lr_scheduler
from omegaconf import II


@dataclass
class FusedAdamWConfig(FairseqDataclass):
    betas: str = field(default="[0.9, 0.999]", metadata={"help": "both betas, as JSON"})
    eps: float = field(default=1e-6, metadata={"help": "epsilon"})
    weight_decay: float = field(default=0.01, metadata={"help": "decoupled weight decay"})
    lr: list[float] = II("optimization.lr")
    amp: bool = II("common.amp")
    norm_every: int = field(
        default=1, metadata={"help": "updates between two fetches of the gradient norm"}
    )


@register_optimizer("fused_adamw", dataclass=FusedAdamWConfig)
class FusedAdamW(FairseqOptimizer):
    """AdamW whose update is one fused kernel for all parameters."""

    def __init__(self, cfg: FusedAdamWConfig, params: list[torch.nn.Parameter]) -> None:
        super().__init__(cfg)
        self._optimizer = torch.optim.AdamW(params, fused=True, **self.optimizer_config)
        self._updates, self._norm = 0, torch.zeros(())

    @property
    def optimizer_config(self) -> dict[str, object]:
        """Arguments of torch's AdamW; also what a loaded checkpoint's groups are updated with."""
        return {
            "lr": self.cfg.lr[0],
            "betas": tuple(json.loads(self.cfg.betas)),
            "eps": self.cfg.eps,
            "weight_decay": self.cfg.weight_decay,
        }

    def clip_grad_norm(self, max_norm: float, aggregate_norm_fn: Any = None) -> torch.Tensor:
        """Clip; returns the norm, fetched from the device at every `norm_every`-th update only.

        fairseq waits for what this returns. Between two fetches it is given the last norm, and one
        that is infinite or no number is held back: the task's check of the losses then names the
        first update that went wrong.
        """
        # fp16's scaling needs to know of each norm whether it is finite
        if self.cfg.norm_every == 1 or self.cfg.amp:
            return super().clip_grad_norm(max_norm, aggregate_norm_fn)
        fetch = self._updates % self.cfg.norm_every == 0
        self._updates += 1
        if max_norm > 0 or fetch:
            norm = super().clip_grad_norm(max_norm, aggregate_norm_fn)
            if fetch and math.isfinite(value := float(norm)):
                self._norm = torch.tensor(value)
        return self._norm


@dataclass
class PiecewiseLinearConfig(FairseqDataclass):
    lr_points: str = field(
        default="[[0, 1e-4]]", metadata={"help": "[[update, rate], ...] in rising order, as JSON"}
    )
    lr: list[float] = II("optimization.lr")


@register_lr_scheduler("piecewise_linear", dataclass=PiecewiseLinearConfig)
class PiecewiseLinear(FairseqLRScheduler):
    """Learning rate on straight lines between given points, flat after the last."""

    def __init__(self, cfg: PiecewiseLinearConfig, optimizer: FairseqOptimizer) -> None:
        super().__init__(cfg, optimizer)
        self.updates, self.rates = zip(*json.loads(cfg.lr_points), strict=True)
        self.step_update(0)

    def step(self, epoch: int, val_loss: float | None = None) -> float:
        """The end of an epoch changes nothing."""
        return self.optimizer.get_lr()

    def step_update(self, num_updates: int) -> float:
        """Set the rate of the next update; `num_updates` updates are done."""
        self.optimizer.set_lr(float(np.interp(num_updates, self.updates, self.rates)))
        return self.optimizer.get_lr()
