"""Growth operators: functions from a shallow model's named parameters to a deeper model's.

A state is a dict from parameter name to tensor, in which layer i's parameters are named
`...layers.{i}...`. Whatever has no layer number is kept as it is. An operator sees the layers in
order, each a dict from the rest of the name to a tensor, and returns the deep model's layers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackbert.errors import UserError

if TYPE_CHECKING:  # the config's check uses this module too and need not wait for torch
    from torch import Generator, Tensor

    State = dict[str, Tensor]

_LAYER = re.compile(r"^((?:.*\.)?layers\.)(\d+)\.(.+)$")
# What a layer adds to its input is the output of these; zeros make it add nothing.
_OUTPUTS = ("attention.out.", "down.")


@dataclass(frozen=True)
class Operator:
    """How to grow, from and to which depths, and that rule in words."""

    grow: Callable[[list[State], int, Generator], list[State]]
    allowed: Callable[[int, int], bool]
    rule: str


def stack(layers: list[State], to_layers: int, _: Generator) -> list[State]:
    """Layers i and i + L both get layer i (Gong et al. 2019, section 3)."""
    return [_copy(layers[layer % len(layers)]) for layer in range(to_layers)]


def interpolate(layers: list[State], to_layers: int, _: Generator) -> list[State]:
    """Each layer is repeated in place: doubled, layers 2i and 2i + 1 get layer i."""
    factor = to_layers // len(layers)
    return [_copy(layers[layer // factor]) for layer in range(to_layers)]


def middle(layers: list[State], to_layers: int, _: Generator) -> list[State]:
    """The middle block of as many layers as are new is repeated once (MIDAS, 2409.19044)."""
    new = to_layers - len(layers)
    start = (len(layers) - new) // 2
    block = layers[start : start + new]
    grown = [*layers[:start], *block, *block, *layers[start + new :]]
    return [_copy(layer) for layer in grown]


def identity(layers: list[State], to_layers: int, generator: Generator) -> list[State]:
    """New layers on top add nothing at first: zero output projections, the rest random.

    The same function as before, exactly; the control of the 2019 paper's code.
    """
    new = [_fresh(layers[0], generator) for _ in range(to_layers - len(layers))]
    return [*(_copy(layer) for layer in layers), *new]


def _multiple(layers: int, to_layers: int) -> bool:
    return to_layers > layers and to_layers % layers == 0


_MULTIPLE = "a larger multiple of the depth"

OPERATORS = {
    "stack": Operator(stack, _multiple, _MULTIPLE),
    "interpolate": Operator(interpolate, _multiple, _MULTIPLE),
    "middle": Operator(middle, lambda old, new: old < new <= 2 * old, "more, at most twice it"),
    "identity": Operator(identity, lambda old, new: new > old, "any larger number"),
}


def check_growth(layers: int, to_layers: int, operator: str) -> None:
    """Raise UserError unless `operator` can grow `layers` layers into `to_layers`."""
    if operator not in OPERATORS:
        raise UserError(
            f"growth operator {operator!r} is unknown, choose one of: {', '.join(OPERATORS)}"
        )
    if not OPERATORS[operator].allowed(layers, to_layers):
        raise UserError(
            f"{layers} layers cannot grow to {to_layers} by {operator}, which needs "
            f"{OPERATORS[operator].rule}, such as {2 * layers}"
        )


def depth(state: State) -> int:
    """Number of layers of a state.

    Raises UserError if there is none or a number is missing between 0 and the highest.
    """
    found = {int(match[2]) for name in state if (match := _LAYER.match(name))}
    if not found or found != set(range(len(found))):
        raise UserError(
            f"the model's layers are numbered {sorted(found)}, expected 0, 1, 2, ... without a "
            "gap: this is not a StackingBERT checkpoint or it is damaged, train the stage again"
        )
    return len(found)


def grow(
    state: State, layers: int, to_layers: int, operator: str = "stack", seed: int = 0
) -> State:
    """Parameters of the deep model of `to_layers` layers grown from `state` of `layers` layers.

    Tensors are copied, so that no two layers share memory. `seed` is for operators that draw.
    Raises UserError for an unknown operator, a depth it cannot reach, a state of another depth.
    """
    import torch

    check_growth(layers, to_layers, operator)
    if depth(state) != layers:
        raise UserError(f"the model has {depth(state)} layers, expected {layers} to grow from")
    grown = {name: tensor.clone() for name, tensor in state.items() if not _LAYER.match(name)}
    shallow: list[State] = [{} for _ in range(layers)]
    for match in filter(None, map(_LAYER.match, state)):
        prefix = match[1]
        shallow[int(match[2])][match[3]] = state[match[0]]
    generator = torch.Generator().manual_seed(seed)
    for number, layer in enumerate(OPERATORS[operator].grow(shallow, to_layers, generator)):
        grown |= {f"{prefix}{number}.{name}": tensor for name, tensor in layer.items()}
    return grown


def _copy(layer: State) -> State:
    return {name: tensor.clone() for name, tensor in layer.items()}


def _fresh(layer: State, generator: Generator) -> State:
    """A layer of the same shapes as the model is initialised, but for zero output projections."""
    import torch

    fresh = {name: torch.zeros_like(tensor) for name, tensor in layer.items()}
    for name, tensor in fresh.items():
        if name.endswith("weight") and not name.startswith(_OUTPUTS):
            torch.nn.init.xavier_uniform_(tensor, generator=generator)
    return fresh
