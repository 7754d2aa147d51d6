"""Training FLOPs of the encoder, the common measure of recipes of different depth.

Symbols: d width, f feed-forward width, n positions, V dictionary size.
"""

from collections.abc import Mapping, Sequence
from typing import Any


def flops_per_token(
    layers: int, width: int, feed_forward: int, positions: int, vocab_size: int, masked: float
) -> float:
    """Floating point operations per token of forward and backward pass.

    A product of a weight with a token costs 2 operations forward and 4 backward. Attention's two
    products over n positions cost 4 n d forward. The last feed-forward and the masked-token head
    run on the share `masked` of the positions. Norms, biases and dropout are left out.
    """
    attention = 4 * width**2 + 2 * positions * width
    feed = 2 * width * feed_forward
    head = width**2 + width * vocab_size
    multiplications = layers * attention + (layers - 1 + masked) * feed + masked * head
    return 6.0 * multiplications


def recipe_flops(
    stages: Sequence[Mapping[str, Any]], config: Mapping[str, Any], vocab_size: int
) -> float:
    """FLOPs of a whole recipe, with batches filled to `tokens_per_update`."""
    model, pretrain = config["model"], config["pretrain"]
    return sum(
        stage["updates"]
        * pretrain["tokens_per_update"]
        * flops_per_token(
            stage["layers"],
            model["width"],
            model["feed_forward"],
            pretrain["max_positions"],
            vocab_size,
            pretrain["mask_probability"],
        )
        for stage in stages
    )
