"""The encoder of Gong et al. (ICML 2019) in plain PyTorch, with its two pre-training heads.

Pre-LayerNorm whose norms have no learnt scale or shift, sinusoidal positions, segment embeddings,
a masked-token head tied to the embedding, and a next-sentence head.

The layers work on the tokens of a batch end to end, [T, d]; only attention sees the sequences. In
the packed layout the sequences follow each other without padding, those of the same length side by
side; in the padded one each fills n positions.

Symbols: b batch, n positions, T tokens of a batch, d width, h heads, e = d / h, f feed-forward
width, r rows, S slots (w of a sequence), V dictionary size.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from stackbert.dropout import dropout
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


@dataclass(frozen=True)
class Layout:
    """Where the sequences lie among T tokens: `runs` of (g sequences, n tokens each), end to end.

    `mask` [b, 1, 1, n], for a single run, is true where a position may be looked at. `slots` [S]
    are the positions among T from which the last layer looks, `widths` of them in each sequence of
    a run; without them it looks from all.
    """

    runs: Sequence[tuple[int, int]]
    mask: Tensor | None = None
    slots: Tensor | None = None
    widths: Sequence[int] = ()


class Attention(nn.Module):
    """Multi-head self-attention with one fused product for queries, keys and values."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.head_width, self.dropout = heads, width // heads, dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def mix(self, layout: Layout, *projected: Tensor) -> Tensor:
        """Mixed values, each sequence by itself.

        `projected` is queries, keys and values [T, 3 d], for [T, d]; or queries at the layout's
        slots [S, d], and keys and values [T, 2 d], for [S, d].
        """
        rate = self.dropout if self.training else 0.0
        # A CPU's fused kernel has no dropout; what PyTorch does instead takes half as long again.
        on_cpu = projected[0].device.type == "cpu"
        attend = self._by_head if rate and on_cpu else self._fused
        sizes = [[g * n for g, n in layout.runs]]
        if len(projected) > 1:
            sizes.insert(0, [g * w for (g, _), w in zip(layout.runs, layout.widths, strict=True)])
        parts = [tensor.split(size) for tensor, size in zip(projected, sizes, strict=True)]
        mixed = []
        for (g, _), *run in zip(layout.runs, *parts, strict=True):
            vectors = [part.view(g, len(part) // g, -1, self.head_width) for part in run]
            mixed.append(attend(vectors, layout.mask, rate).flatten(2).flatten(0, 1))
        return torch.cat(mixed) if len(mixed) > 1 else mixed[0]

    def _fused(self, vectors: Sequence[Tensor], mask: Tensor | None, rate: float) -> Tensor:
        """[g, n, 3 h, e], or [g, w, h, e] and [g, n, 2 h, e] -> [g, n or w, h, e]."""
        q, k, v = (t for part in vectors for t in part.transpose(1, 2).split(self.heads, dim=1))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=rate)
        return mixed.transpose(1, 2)

    def _by_head(self, vectors: Sequence[Tensor], mask: Tensor | None, rate: float) -> Tensor:
        """The same in plain products, head by head, which copies no queries, keys or values."""
        each = [vector for part in vectors for vector in part.unbind(2)]
        h, scale, mixed = self.heads, self.head_width**-0.5, []
        for q, k, v in zip(each[:h], each[h : 2 * h], each[2 * h :], strict=True):
            scores = torch.baddbmm(q.new_zeros(()), q, k.transpose(1, 2), beta=0, alpha=scale)
            if mask is not None:
                scores = scores.masked_fill(~mask[:, 0], -math.inf)
            mixed.append(torch.bmm(dropout(scores.softmax(-1), rate, True), v))
        return torch.stack(mixed, dim=2)


class Layer(nn.Module):
    """One Pre-LayerNorm layer: x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.gate: Tensor | None = None  # a factor on what the layer adds; None: 1
        self.attention = Attention(config.width, config.heads, config.attention_dropout)
        self.up = nn.Linear(config.width, config.feed_forward)
        self.down = nn.Linear(config.feed_forward, config.width)

    def forward(self, x: Tensor, layout: Layout, rows: Tensor | None = None) -> Tensor:
        """[T, d] -> [T, d], or [r, d] at `rows` [r] among the layout's slots, or T without them."""
        if rows is None or layout.slots is None:
            mixed = self.attention.mix(layout, self.project(x))
        else:
            mixed = self.attention.mix(layout, *self.ask(x, layout.slots))
            x = x[layout.slots]
        if rows is not None:
            x, mixed = x[rows], mixed[rows]
        return self.finish(x, mixed)

    def compile_parts(self) -> None:
        """Compile what surrounds attention, for any T; layers and depths share the code."""
        self.project = torch.compile(self.project, dynamic=True)
        self.ask = torch.compile(self.ask, dynamic=True)
        self.finish = torch.compile(self.finish, dynamic=True)

    def project(self, x: Tensor) -> Tensor:
        """What comes before the sequences are mixed: [T, d] -> [T, 3 d]."""
        return self.attention.qkv(norm(x))

    def ask(self, x: Tensor, slots: Tensor) -> tuple[Tensor, Tensor]:
        """The same with queries at `slots` only: [T, d] -> [S, d], and keys and values [T, 2 d]."""
        x, d, qkv = norm(x), x.shape[-1], self.attention.qkv
        queries = F.linear(x[slots], qkv.weight[:d], qkv.bias[:d])
        return queries, F.linear(x, qkv.weight[d:], qkv.bias[d:])

    def finish(self, x: Tensor, mixed: Tensor) -> Tensor:
        """What comes after: inputs and mixed values [T, d] -> [T, d]."""
        x = x + self._enter(self.attention.out(mixed))
        return x + self._enter(self.down(F.gelu(self.up(norm(x)))))

    def _enter(self, x: Tensor) -> Tensor:
        x = dropout(x, self.dropout, self.training)
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
        self.activation_checkpointing = False  # compute layers again in the backward pass
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
        """Padded ids [b, n] -> final states [r, d] at the flat positions `rows` [r] of the grid.

        The last layer's feed-forward runs on those rows only (as in the paper's code).
        """
        real = tokens != self.config.padding
        mask = None if bool(real.all()) else real[:, None, None, :]
        b, n = tokens.shape
        positions = torch.arange(n, device=tokens.device).repeat(b)
        layout = Layout([(b, n)], mask)
        return self._states(tokens.flatten(), segments.flatten(), positions, layout, rows)

    def encode_packed(
        self,
        tokens: Tensor,
        segments: Tensor,
        positions: Tensor,
        lengths: Sequence[int],
        rows: Tensor,
        slots: Tensor | None = None,
        widths: Sequence[int] = (),
    ) -> Tensor:
        """Ids and positions [T] of sequences end to end -> final states [r, d] at `rows` [r] of T.

        `lengths` [b] sum to T. Neighbours of the same length go through attention together, so
        have them in order of length. With `slots` [S] and `widths` of `pairs.query_slots` the last
        layer looks from the slots only, and `rows` are rows of those.
        """
        runs = [(len(list(run)), n) for n, run in groupby(lengths)]
        layout = Layout(runs, slots=slots, widths=widths)
        return self._states(tokens, segments, positions, layout, rows)

    def _states(
        self, tokens: Tensor, segments: Tensor, positions: Tensor, layout: Layout, rows: Tensor
    ) -> Tensor:
        x = self.embed(tokens, segments, positions)
        for layer in self.layers[:-1]:
            x = self._run(layer, x, layout)
        return norm(self._run(self.layers[-1], x, layout, rows))

    def _run(self, layer: nn.Module, *inputs: Any) -> Tensor:
        if self.activation_checkpointing and self.training:
            return checkpoint(layer, *inputs, use_reentrant=False)
        return layer(*inputs)

    def set_gate(self, layers: Iterable[int], share: float) -> None:
        """Multiply what these layers add to their input by `share`: 0 to 1 (MSG, ICLR 2024)."""
        for number in layers:
            layer = self.layers[number]
            layer.gate = layer.up.bias.new_tensor(share) if share < 1 else None

    def embed(self, tokens: Tensor, segments: Tensor, positions: Tensor) -> Tensor:
        """Ids [T] -> [T, d]: sqrt(d) x token + position + segment, then dropout."""
        x = math.sqrt(self.config.width) * self.tokens(tokens) + self.segments(segments)
        return dropout(x + self.positions[positions], self.config.dropout, self.training)

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
