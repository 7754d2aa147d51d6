"""Growth operators: functions from a shallow model's named parameters to a deeper model's.

A state is a dict from parameter name to tensor, in which layer i's parameters are named
`...layers.{i}...`. Whatever has no layer number is kept as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from stackbert.errors import UserError

if TYPE_CHECKING:  # the config's check uses this module too and need not wait for torch
    from torch import Tensor

    State = dict[str, Tensor]

_LAYER = re.compile(r"^((?:.*\.)?layers\.)(\d+)(\..+)$")


def stack(layers: int, to_layers: int) -> list[int]:
    """The shallow layer that each deep layer copies: i and i + L get layer i (paper, section 3)."""
    return [layer % layers for layer in range(to_layers)]


OPERATORS: dict[str, Callable[[int, int], list[int]]] = {"stack": stack}


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


def check_growth(layers: int, to_layers: int, operator: str) -> None:
    """Raise UserError unless `operator` can grow `layers` layers into `to_layers`."""
    if operator not in OPERATORS:
        raise UserError(
            f"growth operator {operator!r} is unknown, choose one of: {', '.join(OPERATORS)}"
        )
    if to_layers <= layers or to_layers % layers:
        raise UserError(
            f"{layers} layers cannot grow to {to_layers}: the depth must be a larger multiple of "
            f"{layers}, such as {2 * layers}"
        )


def grow(state: State, layers: int, to_layers: int, operator: str = "stack") -> State:
    """Parameters of the deep model of `to_layers` layers grown from `state` of `layers` layers.

    Tensors are copied, so that no two layers share memory. Raises UserError for an unknown
    operator, a depth that is no multiple, and a state of another depth.
    """
    check_growth(layers, to_layers, operator)
    if depth(state) != layers:
        raise UserError(f"the model has {depth(state)} layers, expected {layers} to grow from")
    source = OPERATORS[operator](layers, to_layers)
    grown: State = {}
    for name, tensor in state.items():
        match = _LAYER.match(name)
        if match is None:
            grown[name] = tensor.clone()
            continue
        for layer, original in enumerate(source):
            if original == int(match[2]):
                grown[f"{match[1]}{layer}{match[3]}"] = tensor.clone()
    return grown
