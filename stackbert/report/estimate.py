"""What a run will take, from its configuration: parameters, FLOPs, memory, disk, downloads.

Symbols: d width, f feed-forward width, V dictionary size.
"""

from collections.abc import Mapping
from typing import Any

from stackbert.flops import vocab_size
from stackbert.glue.tasks import entry, trained
from stackbert.recipes import trained_stages

Config = Mapping[str, Any]
FLOAT = 4  # bytes
# Weights, gradients and Adam's two moments, in single precision.
TRAINING_BYTES = 4 * FLOAT
CHECKPOINT_BYTES = 3 * FLOAT  # weights and moments
PROCESS_BYTES = 600 * 2**20  # Python, torch, fairseq and the data, before the model
# Compressed sizes of the dumps that are known by address, and what becomes of a byte of one:
# text, tokens and binarized data, with the intermediate files that live at the same time.
DUMP_BYTES = {"enwiki-latest-pages-articles.xml.bz2": 24 * 10**9}
DEFAULT_DUMP_BYTES = 10 * 10**6
CORPUS_FACTOR = 5


def parameters(config: Config, layers: int) -> int:
    """Learnt numbers of an encoder with its heads."""
    d, f = config["model"]["width"], config["model"]["feed_forward"]
    layer = 4 * d * (d + 1) + d * f + f + f * d + d
    heads = d * (d + 1) + 2 * d + d + 1
    return layers * layer + (vocab_size(config) + 2) * d + heads


def training_bytes(config: Config, layers: int) -> int:
    """Memory of one training process: states, what the backward pass keeps, and the process.

    Per token and layer about 12 d + 3 f numbers are kept, and per masked token three rows of the
    dictionary's size.
    """
    model, pretrain = config["model"], config["pretrain"]
    kept = layers * (12 * model["width"] + 3 * model["feed_forward"])
    kept += 3 * pretrain["mask_probability"] * vocab_size(config)
    activations = FLOAT * pretrain["tokens_per_batch"] * kept
    return int(TRAINING_BYTES * parameters(config, layers) + activations) + PROCESS_BYTES


def dump_bytes(config: Config) -> int:
    """Compressed size of the dump, as far as it is known."""
    url = config["corpus"]["dump"].get("url") or ""
    return DUMP_BYTES.get(url.rsplit("/", 1)[-1], DEFAULT_DUMP_BYTES)


def disk_bytes(config: Config) -> dict[str, int]:
    """Bytes that the results will take, by kind."""
    recipes = config["recipes"]
    stages = [recipes[name][number] for name, number in trained_stages(recipes)]
    # A stage's checkpoint, two rolling ones while it trains, and the grown weights it starts from.
    checkpoints = sum(CHECKPOINT_BYTES * parameters(config, stage["layers"]) for stage in stages)
    grown = sum(FLOAT * parameters(config, stage["layers"]) for stage in stages if "grow" in stage)
    deepest = max(stage["layers"] for stage in stages)
    rolling = 2 * CHECKPOINT_BYTES * parameters(config, deepest)
    runs = len(trained(config["glue"]["tasks"])) * len(config["glue"]["seeds"])
    models = sum(
        runs * FLOAT * parameters(config, recipe[-1]["layers"]) for recipe in recipes.values()
    )
    return {
        "corpus": CORPUS_FACTOR * dump_bytes(config),
        "checkpoints": checkpoints + grown + rolling,
        "fine-tuned models": models,
    }


def downloads(config: Config) -> list[str]:
    """What will be fetched, one line each."""
    dump = config["corpus"]["dump"]
    lines = []
    if dump.get("package"):
        lines.append(f"dump: from the package {dump['package']}")
    if dump.get("url"):
        lines.append(f"dump: {dump['url']}")
    if config["glue"]["path"] is None:
        for task in trained(config["glue"]["tasks"]):
            source = entry(task).get("download", {})
            where = source.get("package") or source.get("archive", {}).get("urls", ["files"])[0]
            lines.append(f"{task}: {where}")
    return lines
