"""The encoder of Gong et al. (ICML 2019) in plain PyTorch, with its two pre-training heads.

Pre-LayerNorm whose norms have no learnt scale or shift, sinusoidal positions, segment embeddings,
a masked-token head tied to the embedding, and a next-sentence head.

Symbols: b batch, n positions, d width, h heads, f feed-forward width, r rows, V dictionary size.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stackbert.errors import UserError


@dataclass(frozen=True)
class ModelConfig:
    """Shape of an encoder; `vocab_size` counts the special symbols too."""

    layers: int
    width: int
    heads: int
    feed_forward: int
    vocab_size: int
    max_positions: int
    dropout: float = 0.1
    attention_dropout: float = 0.1
    padding: int = 1

    def __post_init__(self) -> None:
        if self.width % self.heads or self.width % 2:
            raise UserError(
                f"model.width is {self.width} and model.heads {self.heads}: the width must be even "
                "and a multiple of the heads. Change one of the two."
            )


class Attention(nn.Module):
    """Multi-head self-attention with one fused product for queries, keys and values."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """[b, n, d] -> [b, n, d]; `mask` [b, 1, 1, n] is true where a position may be looked at."""
        b, n, d = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        return self.out(mixed.transpose(1, 2).reshape(b, n, d))


class Layer(nn.Module):
    """One Pre-LayerNorm layer: x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.gate: Tensor | None = None  # a factor on what the layer adds; None: 1
        self.attention = Attention(config.width, config.heads, config.attention_dropout)
        self.up = nn.Linear(config.width, config.feed_forward)
        self.down = nn.Linear(config.feed_forward, config.width)

    def forward(self, x: Tensor, mask: Tensor | None, rows: Tensor | None = None) -> Tensor:
        """[b, n, d] -> [b, n, d], or [r, d] at the flat positions `rows` [r] of the b x n grid."""
        x = x + self._drop(self.attention(norm(x), mask))
        if rows is not None:
            x = x.flatten(0, 1)[rows]
        return x + self._drop(self.down(F.gelu(self.up(norm(x)))))

    def _drop(self, x: Tensor) -> Tensor:
        x = F.dropout(x, self.dropout, self.training)
        return x if self.gate is None else self.gate * x


class MaskedTokenHead(nn.Module):
    """Linear -> GELU -> LayerNorm; the tied embedding turns the result into logits (no bias)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, states: Tensor, embedding: Tensor) -> Tensor:
        """[r, d] and the embedding [V, d] -> logits [r, V]."""
        return F.linear(self.norm(F.gelu(self.dense(states))), embedding)


class Encoder(nn.Module):
    """Embeddings, layers, final norm and the two pre-training heads."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocab_size, config.width, padding_idx=config.padding)
        self.segments = nn.Embedding(2, config.width)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.mlm = MaskedTokenHead(config.width)
        self.nsp = nn.Linear(config.width, 1)
        positions = sinusoids(config.max_positions, config.width)
        self.register_buffer("positions", positions, persistent=False)
        self.apply(initialize)
        with torch.no_grad():
            self.tokens.weight[config.padding].zero_()

    def encode(self, tokens: Tensor, segments: Tensor, rows: Tensor) -> Tensor:
        """Token and segment ids [b, n] -> final states [r, d] at the flat positions `rows` [r].

        The last layer's feed-forward runs on those rows only (as in the paper's code).
        """
        real = tokens != self.config.padding
        mask = None if bool(real.all()) else real[:, None, None, :]
        x = self.embed(tokens, segments)
        for layer in self.layers[:-1]:
            x = layer(x, mask)
        return norm(self.layers[-1](x, mask, rows))

    def set_gate(self, layers: Iterable[int], share: float) -> None:
        """Multiply what these layers add to their input by `share`: 0 to 1 (MSG, ICLR 2024)."""
        for number in layers:
            layer = self.layers[number]
            layer.gate = layer.up.bias.new_tensor(share) if share < 1 else None

    def embed(self, tokens: Tensor, segments: Tensor) -> Tensor:
        """Ids [b, n] -> [b, n, d]: sqrt(d) x token + position + segment, then dropout."""
        x = math.sqrt(self.config.width) * self.tokens(tokens) + self.segments(segments)
        x = x + self.positions[: tokens.shape[1]]
        return F.dropout(x, self.config.dropout, self.training)

    def mlm_logits(self, states: Tensor) -> Tensor:
        """[r, d] -> [r, V]."""
        return self.mlm(states, self.tokens.weight)

    def nsp_logits(self, states: Tensor) -> Tensor:
        """States [b, d] of the `<cls>` positions -> [b]; positive means that B follows A."""
        return self.nsp(states).squeeze(-1)


def norm(x: Tensor) -> Tensor:
    """LayerNorm without learnt scale or shift, over the last dimension."""
    return F.layer_norm(x, x.shape[-1:])


def sinusoids(positions: int, width: int) -> Tensor:
    """[positions, width]: sines in the first half, cosines in the second (as in fairseq)."""
    rates = torch.exp(torch.arange(width // 2) * -(math.log(10000.0) / max(1, width // 2 - 1)))
    angles = torch.arange(positions)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def initialize(module: nn.Module) -> None:
    """Glorot-uniform products with zero biases; embeddings of unit size after sqrt(d)."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)
