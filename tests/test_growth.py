"""Growing: the definition layer by layer, and what is refused."""

import pytest
import torch

from stackbert.errors import UserError
from stackbert.growth import (
    OPERATORS,
    check_growth,
    copying_mix,
    depth,
    grow,
    grow_moments,
    mix,
    new_layers,
    origins,
)
from stackbert.model import Encoder, ModelConfig


def encoder(layers: int, seed: int = 0) -> Encoder:
    torch.manual_seed(seed)
    return Encoder(ModelConfig(layers, 16, 2, 32, 50, 20))


@pytest.mark.parametrize(("layers", "to_layers"), [(1, 2), (3, 6), (6, 12), (3, 12), (2, 6)])
def test_stack_is_the_definition(layers: int, to_layers: int) -> None:
    shallow = encoder(layers).state_dict()
    deep = grow(shallow, layers, to_layers, "stack")
    for name, tensor in deep.items():
        if name.startswith("layers."):
            _, number, rest = name.split(".", 2)
            assert torch.equal(tensor, shallow[f"layers.{int(number) % layers}.{rest}"]), name
        else:
            assert torch.equal(tensor, shallow[name]), name


def test_grown_state_fills_every_parameter_of_a_deep_model() -> None:
    deep = encoder(6, seed=1)
    missing = deep.load_state_dict(grow(encoder(3).state_dict(), 3, 6))
    assert not missing.missing_keys and not missing.unexpected_keys
    tokens = torch.tensor([[0, 7, 9, 2]])
    states = deep.encode(tokens, torch.ones_like(tokens), torch.arange(4))
    # The head stays tied: it uses the very tensor of the embedding.
    logits = deep.mlm_logits(states)
    logits.sum().backward()
    assert deep.tokens.weight.grad is not None and logits.shape == (4, 50)


def test_copies_share_no_memory() -> None:
    deep = grow(encoder(3).state_dict(), 3, 6)
    deep["layers.0.up.weight"].zero_()
    assert deep["layers.3.up.weight"].abs().sum() > 0


def test_names_with_a_prefix_grow_too() -> None:
    state = {f"encoder.{name}": tensor for name, tensor in encoder(3).state_dict().items()}
    assert depth(grow(state, 3, 6)) == 6


DEPTHS = [(old, new) for old in (1, 2, 3, 4, 6) for new in range(1, 13)]
REACHED = [
    (operator, old, new)
    for operator in OPERATORS
    for old, new in DEPTHS
    if OPERATORS[operator].allowed(old, new)
]


@pytest.mark.parametrize(("operator", "layers", "to_layers"), REACHED)
def test_every_operator_fills_a_model_of_every_depth_it_reaches(
    operator: str, layers: int, to_layers: int
) -> None:
    shallow = encoder(layers).state_dict()
    deep = grow(shallow, layers, to_layers, operator)
    loaded = encoder(to_layers, seed=1).load_state_dict(deep)
    assert not loaded.missing_keys and not loaded.unexpected_keys
    for name, tensor in shallow.items():
        if not name.startswith("layers."):
            assert torch.equal(deep[name], tensor)
    pointers = [tensor.data_ptr() for tensor in [*deep.values(), *shallow.values()]]
    assert len(set(pointers)) == len(pointers)  # no two share memory


def source(operator: str, layers: int, to_layers: int) -> list[int]:
    """Which shallow layer each deep one copies, read from a marked weight."""
    state = encoder(layers).state_dict()
    for layer in range(layers):
        state[f"layers.{layer}.up.bias"].fill_(layer)
    deep = grow(state, layers, to_layers, operator)
    return [int(deep[f"layers.{layer}.up.bias"][0]) for layer in range(to_layers)]


def test_which_layers_are_copied() -> None:
    assert source("stack", 3, 6) == [0, 1, 2, 0, 1, 2]
    assert source("stack", 2, 6) == [0, 1, 0, 1, 0, 1]
    assert source("interpolate", 3, 6) == [0, 0, 1, 1, 2, 2]
    assert source("interpolate", 2, 6) == [0, 0, 0, 1, 1, 1]
    assert source("middle", 6, 9) == [0, 1, 2, 3, 1, 2, 3, 4, 5]
    assert source("middle", 3, 6) == source("stack", 3, 6)


@pytest.mark.parametrize("to_layers", [4, 6, 12])
def test_identity_keeps_the_function(to_layers: int) -> None:
    shallow, deep = encoder(3).eval(), encoder(to_layers, seed=1).eval()
    deep.load_state_dict(grow(shallow.state_dict(), 3, to_layers, "identity", seed=5))
    tokens = torch.randint(4, 50, (3, 9), generator=torch.Generator().manual_seed(0))
    inputs = (tokens, torch.ones_like(tokens), torch.arange(27))
    torch.testing.assert_close(deep.encode(*inputs), shallow.encode(*inputs), rtol=0, atol=1e-6)
    # The new layers can learn: their inner weights are not zero, and draw from the seed.
    again = grow(shallow.state_dict(), 3, to_layers, "identity", seed=5)
    other = grow(shallow.state_dict(), 3, to_layers, "identity", seed=6)
    new = f"layers.{to_layers - 1}.up.weight"
    assert torch.equal(deep.state_dict()[new], again[new]) and again[new].abs().sum() > 0
    assert not torch.equal(again[new], other[new])


def test_masked_keeps_the_function_at_first_and_is_stack_at_the_end() -> None:
    shallow, deep = encoder(3).eval(), encoder(12, seed=1).eval()
    deep.load_state_dict(grow(shallow.state_dict(), 3, 12, "masked"))
    new = new_layers(origins(3, 12, "masked"))
    tokens = torch.randint(4, 50, (3, 9), generator=torch.Generator().manual_seed(0))
    inputs = (tokens, torch.ones_like(tokens), torch.arange(27))
    stacked = deep.encode(*inputs)
    deep.set_gate(new, 0.0)
    torch.testing.assert_close(deep.encode(*inputs), shallow.encode(*inputs), rtol=0, atol=1e-6)
    deep.set_gate(new, 0.5)
    half = deep.encode(*inputs)
    assert not torch.allclose(half, stacked) and not torch.allclose(half, shallow.encode(*inputs))
    deep.set_gate(new, 1.0)
    assert torch.equal(deep.encode(*inputs), stacked)


def test_which_layers_are_new() -> None:
    assert new_layers(origins(3, 6, "stack")) == [3, 4, 5]
    assert new_layers(origins(2, 6, "interpolate")) == [1, 2, 4, 5]
    assert new_layers(origins(6, 9, "middle")) == [4, 5, 6]
    assert new_layers(origins(2, 5, "identity")) == [2, 3, 4]


def moments_of(state: dict[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    """Moments that can be told apart: the weights themselves and their squares, after 7 updates."""
    step = torch.tensor(7.0)
    return {n: {"exp_avg": t, "exp_avg_sq": t**2, "step": step} for n, t in state.items()}


@pytest.mark.parametrize(("operator", "layers", "to_layers"), REACHED)
def test_copied_moments_follow_the_weights(operator: str, layers: int, to_layers: int) -> None:
    state = encoder(layers).state_dict()
    deep = grow(state, layers, to_layers, operator)
    copied = grow_moments(moments_of(state), layers, to_layers, operator, "copy")
    for name, entry in copied.items():
        assert torch.equal(entry["exp_avg"], deep[name]), name
        assert torch.equal(entry["exp_avg_sq"], deep[name] ** 2) and entry["step"] == 7
    without = {name.split(".")[1] for name in deep.keys() - copied.keys()}
    random = [n for n, origin in enumerate(origins(layers, to_layers, operator)) if origin is None]
    assert without == set(map(str, random))


def test_scaled_kept_and_reset_moments() -> None:
    state = encoder(3).state_dict()
    moments = moments_of(state)
    assert grow_moments(moments, 3, 12, "stack", "reset") == {}
    scaled = grow_moments(moments, 3, 12, "stack", "scaled")
    torch.testing.assert_close(
        scaled["layers.7.up.weight"]["exp_avg"], state["layers.1.up.weight"] / 4
    )
    square = state["layers.1.up.weight"] ** 2 / 16
    torch.testing.assert_close(scaled["layers.7.up.weight"]["exp_avg_sq"], square)
    assert torch.equal(scaled["tokens.weight"]["exp_avg"], state["tokens.weight"])
    kept = grow_moments(moments, 3, 6, "interpolate", "keep")
    layers = {int(name.split(".")[1]) for name in kept if name.startswith("layers.")}
    assert layers == {0, 2, 4}
    assert torch.equal(kept["layers.4.up.bias"]["exp_avg"], state["layers.2.up.bias"])


def test_mix_is_linear_and_begins_as_stack() -> None:
    state = encoder(2).state_dict()
    coefficients = copying_mix(state, 2, 4)
    mixed, stacked = mix(state, coefficients), grow(state, 2, 4, "stack")
    assert mixed.keys() == stacked.keys()
    assert all(torch.equal(tensor, stacked[name]) for name, tensor in mixed.items())
    coefficients["up.weight"][3] = torch.tensor([0.25, 2.0])
    expected = 0.25 * state["layers.0.up.weight"] + 2 * state["layers.1.up.weight"]
    torch.testing.assert_close(mix(state, coefficients)["layers.3.up.weight"], expected)
    # What is learnt by gradient: the coefficients.
    coefficients["down.bias"].requires_grad_()
    mix(state, coefficients)["layers.3.down.bias"].sum().backward()
    torch.testing.assert_close(
        coefficients["down.bias"].grad[3],
        torch.stack([state[f"layers.{i}.down.bias"].sum() for i in (0, 1)]),
    )


@pytest.mark.parametrize(
    ("operator", "layers", "to_layers"),
    [("stack", 3, 7), ("stack", 3, 3), ("interpolate", 6, 3), ("middle", 3, 7)],
)
def test_depth_out_of_reach_is_refused(operator: str, layers: int, to_layers: int) -> None:
    message = f"{layers} layers cannot grow to {to_layers} by {operator}"
    with pytest.raises(UserError, match=message):
        grow(encoder(layers).state_dict(), layers, to_layers, operator)


def test_unknown_operator_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"'pile' is unknown, choose one of: .*stack"):
        check_growth(3, 6, "pile")


def test_state_of_another_depth_is_refused() -> None:
    with pytest.raises(UserError, match="has 3 layers, expected 6"):
        grow(encoder(3).state_dict(), 6, 12)


def test_state_with_a_missing_layer_is_refused() -> None:
    state = encoder(3).state_dict()
    holed = {name: tensor for name, tensor in state.items() if not name.startswith("layers.1.")}
    with pytest.raises(UserError, match="without a gap"):
        depth(holed)
    with pytest.raises(UserError, match="without a gap"):
        depth({"embedding": torch.zeros(1)})
