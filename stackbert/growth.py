"""Growth operators: functions from a shallow model's named parameters to a deeper model's.

A state is a dict from parameter name to tensor, in which layer i's parameters are named
`...layers.{i}...`. Whatever has no layer number is kept as it is. An operator only says, for each
layer of the deep model, which shallow layer it copies; weights and Adam's moments both follow.

Symbols: L layers before growing, L' after it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackbert.errors import UserError

if TYPE_CHECKING:  # the config's check uses this module too and need not wait for torch
    from torch import Generator, Tensor

    State = dict[str, Tensor]
    Moments = dict[str, State]  # of Adam, by parameter: exp_avg, exp_avg_sq and step

# For each layer of the deep model the shallow one it copies; None: drawn at random.
Origins = list[int | None]

_LAYER = re.compile(r"^((?:.*\.)?layers\.)(\d+)\.(.+)$")
# What a layer adds to its input is the output of these; zeros make it add nothing.
_OUTPUTS = ("attention.out.", "down.")


@dataclass(frozen=True)
class Operator:
    """Where the deep model's layers come from, which depths it reaches, and that rule in words."""

    origins: Callable[[int, int], Origins]
    allowed: Callable[[int, int], bool]
    rule: str


def stack(layers: int, to_layers: int) -> Origins:
    """Layers i and i + L both get layer i (Gong et al. 2019, section 3)."""
    return [layer % layers for layer in range(to_layers)]


def interpolate(layers: int, to_layers: int) -> Origins:
    """Each layer is repeated in place: doubled, layers 2i and 2i + 1 get layer i."""
    return [layer // (to_layers // layers) for layer in range(to_layers)]


def middle(layers: int, to_layers: int) -> Origins:
    """The middle block of as many layers as are new is repeated once (MIDAS, 2409.19044)."""
    new = to_layers - layers
    start = (layers - new) // 2
    block = range(start, start + new)
    return [*range(start), *block, *block, *range(start + new, layers)]


def identity(layers: int, to_layers: int) -> Origins:
    """New layers on top add nothing at first: zero output projections, the rest random.

    The same function as before, exactly; the control of the 2019 paper's code.
    """
    return [*range(layers), *[None] * (to_layers - layers)]


def _multiple(layers: int, to_layers: int) -> bool:
    return to_layers > layers and to_layers % layers == 0


_MULTIPLE = "a larger multiple of the depth"

OPERATORS = {
    "stack": Operator(stack, _multiple, _MULTIPLE),
    "interpolate": Operator(interpolate, _multiple, _MULTIPLE),
    "middle": Operator(middle, lambda old, new: old < new <= 2 * old, "more, at most twice it"),
    "identity": Operator(identity, lambda old, new: new > old, "any larger number"),
    # Copies as by stack, which the encoder's gate lets in by and by (MSG, ICLR 2024).
    "masked": Operator(stack, _multiple, _MULTIPLE),
    # Begins as stack; stackbert_fairseq/learning.py then learns the mix (LiGO, ICLR 2023).
    "learned": Operator(stack, _multiple, _MULTIPLE),
}
# What becomes of Adam's moments at a growth step; see grow_moments.
MOMENTS = ("reset", "copy", "scaled", "keep")


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


def origins(layers: int, to_layers: int, operator: str) -> Origins:
    """For each layer of the deep model the shallow one it copies, or None for a random one."""
    check_growth(layers, to_layers, operator)
    return OPERATORS[operator].origins(layers, to_layers)


def new_layers(found: Origins) -> list[int]:
    """Numbers of the layers that growing adds: random ones, and copies after the first of each."""
    return [
        number for number, origin in enumerate(found) if origin is None or origin in found[:number]
    ]


def depth(state: Iterable[str]) -> int:
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

    found = origins(layers, to_layers, operator)
    prefix, shallow = _layers(state, layers)
    generator = torch.Generator().manual_seed(seed)
    grown = {name: tensor.clone() for name, tensor in state.items() if not _LAYER.match(name)}
    for number, origin in enumerate(found):
        if origin is None:
            layer = _fresh(shallow[0], generator)
        else:
            layer = {name: tensor.clone() for name, tensor in shallow[origin].items()}
        grown |= {f"{prefix}{number}.{name}": tensor for name, tensor in layer.items()}
    return grown


def grow_moments(
    moments: Moments, layers: int, to_layers: int, operator: str = "stack", how: str = "copy"
) -> Moments:
    """Adam's moments of the grown model, by parameter name; a parameter without any starts anew.

    `copy`: a layer takes those of the layer whose weights it copies. `keep`: only the layers that
    were there before do, and new ones start from zero. `scaled` (Staged training, 2203.06211):
    copies, with a layer's first moment times L / L' and its second times the square of that. For if
    the L' / L copies of a layer share its work, the gradient of each is that much smaller, and the
    second moment is of gradients squared. Embeddings and heads keep theirs in all three; `reset`
    keeps none. `step`, by which Adam corrects young averages, belongs to a moment and goes with it.
    """
    if how == "reset":
        return {}
    found = origins(layers, to_layers, operator)
    prefix, shallow = _layers(moments, layers)
    new = set(new_layers(found))
    scale = layers / to_layers if how == "scaled" else 1.0
    grown = {name: _scaled(m, 1.0) for name, m in moments.items() if not _LAYER.match(name)}
    for number, origin in enumerate(found):
        if origin is not None and not (how == "keep" and number in new):
            layer = shallow[origin]
            grown |= {f"{prefix}{number}.{name}": _scaled(m, scale) for name, m in layer.items()}
    return grown


def _scaled(moments: State, scale: float) -> State:
    return {
        "exp_avg": moments["exp_avg"] * scale,
        "exp_avg_sq": moments["exp_avg_sq"] * scale**2,
        "step": moments["step"].clone(),
    }


def copying_mix(state: State, layers: int, to_layers: int) -> State:
    """Coefficients [L', L], one table per parameter of a layer, with which `mix` stacks."""
    import torch

    _, shallow = _layers(state, layers)
    rows = torch.eye(layers)[[layer % layers for layer in range(to_layers)]]
    return {name: rows.clone() for name in shallow[0]}


def mix(state: State, coefficients: Mapping[str, Tensor]) -> State:
    """Deep model whose layers are mixes of the shallow ones (LiGO, ICLR 2023, depth only).

    `coefficients` [L', L] are given for each of a layer's parameters: layer j's is the sum over i
    of coefficient [j, i] times layer i's. The result can be differentiated by the coefficients.
    """
    import torch

    layers = next(iter(coefficients.values())).shape[1]
    prefix, shallow = _layers(state, layers)
    grown = {name: tensor for name, tensor in state.items() if not _LAYER.match(name)}
    for name, table in coefficients.items():
        stacked = torch.stack([layer[name] for layer in shallow])
        for number, mixed in enumerate(torch.tensordot(table, stacked, dims=1)):
            grown[f"{prefix}{number}.{name}"] = mixed
    return grown


def _layers(state: Mapping[str, object], layers: int) -> tuple[str, list[dict]]:
    """The name before the layer's number, and each layer's entries by the name after it.

    Raises UserError for a state of another depth.
    """
    if depth(state) != layers:
        raise UserError(f"the model has {depth(state)} layers, expected {layers} to grow from")
    found: list[dict] = [{} for _ in range(layers)]
    for match in filter(None, map(_LAYER.match, state)):
        prefix = match[1]
        found[int(match[2])][match[3]] = state[match[0]]
    return prefix, found


def _fresh(layer: State, generator: Generator) -> State:
    """A layer of the same shapes as the model is initialised, but for zero output projections."""
    import torch

    fresh = {name: torch.zeros_like(tensor) for name, tensor in layer.items()}
    for name, tensor in fresh.items():
        if name.endswith("weight") and not name.startswith(_OUTPUTS):
            torch.nn.init.xavier_uniform_(tensor, generator=generator)
    return fresh
