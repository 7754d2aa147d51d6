"""Growing: the definition layer by layer, and what is refused."""

import pytest
import torch

from stackbert.errors import UserError
from stackbert.growth import check_growth, depth, grow
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


@pytest.mark.parametrize(("layers", "to_layers"), [(3, 7), (3, 3), (6, 3)])
def test_depth_that_is_no_larger_multiple_is_refused(layers: int, to_layers: int) -> None:
    with pytest.raises(UserError, match=f"{layers} layers cannot grow to {to_layers}"):
        grow(encoder(layers).state_dict(), layers, to_layers)


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
