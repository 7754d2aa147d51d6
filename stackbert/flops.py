"""Training FLOPs of the encoder, the common measure of recipes of different depth.

Symbols: d width, f feed-forward width, n positions, V dictionary size.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from stackbert.growth import new_layers, origins

Config = Mapping[str, Any]


def vocab_size(config: Config) -> int:
    """Entries of the dictionary before it is made: merges, single characters, special symbols."""
    return min(config["bpe"]["vocab_size"], config["bpe"]["merges"] + 400)


def flops_per_token(
    layers: int,
    width: int,
    feed_forward: int,
    positions: int,
    vocab_size: int,
    masked: float,
    frozen: Collection[int] = (),
) -> float:
    """Floating point operations per token of forward and backward pass.

    A product of a weight with a token costs 2 operations forward, 2 for the gradient of its input
    and 2 for that of the weight. Attention's two products over n positions cost 4 n d forward and
    twice that backward. The last feed-forward and the masked-token head run on the share `masked`
    of the positions (so do the last layer's queries, which count in full as in the paper's code).
    Norms, biases and dropout are left out. `frozen` layers, and with them the embeddings, have no
    gradients of weights, and below the lowest other layer nothing goes back.
    """
    lowest = min((n for n in range(layers) if n not in frozen), default=layers) if frozen else 0
    total = 0.0
    for number in range(layers):
        feed = 2 * width * feed_forward * (masked if number == layers - 1 else 1)
        weights, mixing = 4 * width**2 + feed, 2 * positions * width
        total += 2 * weights + 2 * mixing
        total += 2 * weights + 4 * mixing if number >= lowest else 0
        total += 2 * weights if number not in frozen else 0
    output = width * vocab_size
    total += masked * (6 * width**2 + (4 if frozen else 6) * output)
    return float(total)


def update_flops(config: Config, layers: int, frozen: Collection[int] = ()) -> float:
    """FLOPs of one update of a model of so many layers, with its batches filled."""
    model, pretrain = config["model"], config["pretrain"]
    shape = (model["width"], model["feed_forward"], pretrain["max_positions"], vocab_size(config))
    each = flops_per_token(layers, *shape, pretrain["mask_probability"], frozen)
    return pretrain["tokens_per_update"] * each


def growth_flops(config: Config, stage: Config) -> float:
    """FLOPs of growing into a stage: of learning how, and of trying each of several operators.

    Both do updates of the deep model; mixing layers costs next to nothing.
    """
    updates = stage.get("learn_updates", 0)
    updates += stage.get("fork_updates", 0) * len(stage.get("grow", ()))
    return updates * update_flops(config, stage["layers"])


def flops_after(config: Config, stages: Sequence[Config], number: int, updates: int) -> float:
    """FLOPs of the first `updates` updates of stage `number` of a recipe, without growing."""
    stage = stages[number]
    grown = isinstance(stage.get("grow"), str)
    frozen = min(stage.get("freeze", 0), updates) if grown else 0
    flops = (updates - frozen) * update_flops(config, stage["layers"])
    if frozen:
        before = stages[number - 1]["layers"]
        new = new_layers(origins(before, stage["layers"], stage["grow"]))
        old = set(range(stage["layers"])) - {*new}
        flops += frozen * update_flops(config, stage["layers"], old)
    return flops


def stage_flops(config: Config, stages: Sequence[Config], number: int) -> float:
    """FLOPs of stage `number` of a recipe, growing included."""
    stage = stages[number]
    return growth_flops(config, stage) + flops_after(config, stages, number, stage["updates"])


def recipe_flops(config: Config, stages: Sequence[Config]) -> float:
    """FLOPs of a whole recipe."""
    return sum(stage_flops(config, stages, number) for number in range(len(stages)))
