"""A recipe's loss curve: the curves of its stages put end to end, growing included."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from stackbert.errors import write_atomic

COLUMNS = ["stage", "layers", "update", "tokens", "seconds", "train_loss", "valid_mlm_loss"]


def join_curves(
    stages: Sequence[Mapping[str, Any]], curves: Sequence[str], growths: Sequence[str], output: str
) -> None:
    """Join the stages' tables; `growths` are the timings before the second and later stages.

    `update` counts within a stage; `tokens` and `seconds` go on over stages.
    """
    parts, tokens, seconds = [], 0, 0.0
    for number, (stage, path) in enumerate(zip(stages, curves, strict=True)):
        if number:
            with open(growths[number - 1], encoding="utf-8") as file:
                seconds += json.load(file)["seconds"]
        part = pd.read_csv(path, sep="\t")
        part["tokens"] += tokens
        part["seconds"] = (part["seconds"] + seconds).round(2)
        part.insert(0, "stage", f"L{stage['layers']}")
        part.insert(1, "layers", stage["layers"])
        tokens, seconds = int(part["tokens"].iloc[-1]), float(part["seconds"].iloc[-1])
        parts.append(part)
    table = pd.concat(parts)[COLUMNS]
    write_atomic(output, table.to_csv(sep="\t", index=False, lineterminator="\n"))
