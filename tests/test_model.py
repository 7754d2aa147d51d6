"""The architecture, held against a plain restatement of it."""

import math

import pytest
import torch
import torch.nn.functional as F

from stackbert.errors import UserError
from stackbert.model import Encoder, ModelConfig, sinusoids

CONFIG = ModelConfig(layers=3, width=16, heads=2, feed_forward=32, vocab_size=50, max_positions=12)
TOKENS = torch.tensor([[0, 7, 8, 2, 9, 2], [0, 5, 2, 6, 2, 1]])
SEGMENTS = torch.tensor([[1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 0, 0]])


@pytest.fixture
def model() -> Encoder:
    torch.manual_seed(0)
    return Encoder(CONFIG).eval()


def reference(model: Encoder, tokens: torch.Tensor, segments: torch.Tensor) -> torch.Tensor:
    """One sequence [n] without padding -> [n, d], written out head by head."""
    d, heads = CONFIG.width, CONFIG.heads
    x = math.sqrt(d) * model.tokens.weight[tokens] + model.segments.weight[segments]
    x = x + sinusoids(12, d)[: len(tokens)]
    for layer in model.layers:
        q, k, v = layer.attention.qkv(F.layer_norm(x, (d,))).split(d, dim=-1)
        mixed = []
        for head in range(heads):
            part = slice(head * d // heads, (head + 1) * d // heads)
            scores = q[:, part] @ k[:, part].T / math.sqrt(d // heads)
            mixed.append(scores.softmax(-1) @ v[:, part])
        x = x + layer.attention.out(torch.cat(mixed, dim=-1))
        x = x + layer.down(F.gelu(layer.up(F.layer_norm(x, (d,)))))
    return F.layer_norm(x, (d,))


def test_encoder_equals_the_reference_and_ignores_padding(model: Encoder) -> None:
    states = model.encode(TOKENS, SEGMENTS, torch.arange(12)).view(2, 6, -1)
    torch.testing.assert_close(states[0], reference(model, TOKENS[0], SEGMENTS[0]))
    torch.testing.assert_close(states[1, :5], reference(model, TOKENS[1, :5], SEGMENTS[1, :5]))


def test_rows_select_the_same_states(model: Encoder) -> None:
    every = model.encode(TOKENS, SEGMENTS, torch.arange(12))
    rows = torch.tensor([0, 6, 3, 8])
    torch.testing.assert_close(model.encode(TOKENS, SEGMENTS, rows), every[rows])


def test_only_the_head_has_a_learnt_norm_and_the_embedding_is_tied(model: Encoder) -> None:
    names = [name for name, _ in model.named_parameters()]
    assert [name for name in names if "norm" in name] == ["mlm.norm.weight", "mlm.norm.bias"]
    assert [tuple(p.shape) for p in model.parameters() if 50 in p.shape] == [(50, 16)]


def test_parameter_count_of_bert_base() -> None:
    with torch.device("meta"):
        base = Encoder(ModelConfig(12, 768, 12, 3072, 32768, 384))
    layer = 4 * 768 * 768 + 4 * 768 + 2 * 768 * 3072 + 3072 + 768
    head = 768 * 768 + 768 + 2 * 768 + 768 + 1
    assert sum(p.numel() for p in base.parameters()) == 12 * layer + (32768 + 2) * 768 + head


def test_width_that_does_not_divide_is_refused() -> None:
    with pytest.raises(UserError, match=r"model\.width is 10 and model\.heads 4"):
        ModelConfig(1, 10, 4, 8, 50, 12)
