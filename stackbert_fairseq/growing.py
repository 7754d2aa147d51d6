"""What a grown stage does differently in its first updates: moments, masked and frozen layers."""

from typing import Any

from torch import nn

from stackbert.checkpoint import load_checkpoint
from stackbert.errors import UserError

EMBEDDINGS = ("encoder.tokens.", "encoder.segments.")


class Growing:
    """Acts by the number of the update alone, so that a resumed stage goes on exactly.

    `grown` is the file that stackbert.pretrain.grow_stage wrote, or nothing for a first stage.
    """

    def __init__(self, grown: str, mask_updates: int, freeze_updates: int) -> None:
        self.grown, self.mask, self.freeze = grown, mask_updates, freeze_updates
        self.new: list[int] = []
        self.frozen = False

    def begin(self, model: nn.Module, optimizer: Any, update: int) -> None:
        """Before the first step of this process; a stage that begins takes up grown moments."""
        if not self.grown:
            return
        growth = load_checkpoint(self.grown).get("growth", {})
        self.new = growth.get("new", [])
        if update == 0 and growth.get("moments"):
            load_moments(optimizer.optimizer, model, growth["moments"])

    def step(self, model: nn.Module, update: int) -> None:
        """Before a step; `update` updates of the stage are done."""
        if self.mask:
            # m rises from 0 to 1 in equal steps (MSG; its paper, too, lets it rise linearly)
            model.encoder.set_gate(self.new, min(1.0, update / self.mask))
        frozen = update < self.freeze
        if frozen != self.frozen:
            self.frozen = frozen
            new = tuple(f"encoder.layers.{number}." for number in self.new)
            for name, parameter in named(model):
                old = name.startswith("encoder.layers.") and not name.startswith(new)
                if old or name.startswith(EMBEDDINGS):
                    parameter.requires_grad_(not frozen)


def named(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """The parameters as a checkpoint names them, also of a model wrapped for several processes."""
    return [(f"encoder.{name}", part) for name, part in model.encoder.named_parameters()]


def load_moments(optimizer: Any, model: nn.Module, moments: dict[str, dict[str, Any]]) -> None:
    """Give torch's Adam the `moments` of a model, by parameter name; the others start anew.

    Raises UserError if the optimizer does not hold one tensor per parameter.
    """
    state = optimizer.state_dict()
    names = [name for name, _ in named(model)]
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if [p.shape for p in held] != [p.shape for _, p in named(model)]:
        raise UserError("this optimizer joins its parameters: choose moments: reset for the stage")
    state["state"] = {names.index(name): entry for name, entry in moments.items()}
    optimizer.load_state_dict(state)
